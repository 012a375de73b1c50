import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../../eif/build/bundles.ts';
import { KERNEL_CONFIG, missingLine } from '../../../eif/build/kernel.ts';

describe('the finished configuration of the kernel', () => {
  const finished = [
    '# Linux/x86 6.12.117 Kernel Configuration',
    'CONFIG_SECCOMP=y',
    'CONFIG_LSM="yama"',
    'CONFIG_NR_CPUS=64',
    '# CONFIG_KEXEC is not set',
    'CONFIG_MICROCODE=y',
    '',
  ].join('\n');

  it.each([
    ['all is there', 'CONFIG_SECCOMP=y\nCONFIG_LSM="yama"\n# CONFIG_KEXEC is not set\n', null],
    ['what is off has no line at all', '# CONFIG_MODULES is not set', null],
    ['comments and empty lines', '# CONFIG_X is explained here\n\n# CONFIG_SECCOMP\n', null],
    ['a dependency made it void', 'CONFIG_SECCOMP=y\nCONFIG_YAMA=y', 'CONFIG_YAMA=y'],
    ['it has another value', 'CONFIG_NR_CPUS=6', 'CONFIG_NR_CPUS=6'],
    ['it is off', 'CONFIG_KEXEC=y', 'CONFIG_KEXEC=y'],
    ['it is on', '# CONFIG_MICROCODE is not set', '# CONFIG_MICROCODE is not set'],
    ['it is part of another name', 'CONFIG_SEC=y', 'CONFIG_SEC=y'],
  ])('%s', (_, wanted, missing) => {
    expect(missingLine(wanted, finished)).toBe(missing);
  });
});

describe('the configuration that we keep', () => {
  it('has each option once, and no line that Kconfig would not read', async () => {
    const text = await readFile(join(ROOT, KERNEL_CONFIG), 'utf8');
    const lines = text.split('\n');
    const option = /^(?:(CONFIG_[A-Z0-9_]+)=(?:y|\d+|"[a-z]*")|# (CONFIG_[A-Z0-9_]+) is not set)$/u;
    const names = lines.flatMap((line) => {
      const [, on, off] = option.exec(line) ?? [];
      return on ?? off ?? [];
    });
    const others = lines.filter((line) => !option.test(line));
    expect(others.filter((line) => !/^(?:#(?! CONFIG_).*)?$/u.test(line))).toEqual([]);
    expect(names.length).toBeGreaterThan(150);
    expect(new Set(names).size).toBe(names.length);
  });
});
