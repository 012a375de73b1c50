// Runs one image in an emulated enclave until it ends; the host proxy's `enclave.command` of `make vm`:
//   enclave.ts IMAGE VSOCK [CONSOLE]     VSOCK is the PATH of hvsock:PATH; CONSOLE a file for what it prints
// Exit codes: 0 the image's program ended with 0, 1 it ended otherwise, 2 the machine could not be had.
// On SIGTERM the machine is switched off, as `nitro-cli terminate-enclave` does.

import { appendFileSync } from 'node:fs';
import { EnclaveVm } from './enclave-vm.ts';
import { openMachine } from './machine.ts';

const MEMORY_MIB = 2048;
const PROCESSORS = 2;

const [image = '', vsock = '', consoleFile] = process.argv.slice(2);
if (image === '' || vsock === '') {
  process.stderr.write('usage: enclave.ts IMAGE VSOCK [CONSOLE]\n');
  process.exit(2);
}

const say = (text: string): void => {
  process.stderr.write(text);
};
const machine = await openMachine((line) => {
  say(`${line}\n`);
});
const vm = await EnclaveVm.start({
  machine,
  image,
  vsock,
  memoryMiB: MEMORY_MIB,
  processors: PROCESSORS,
  onConsole: (text) => {
    if (consoleFile === undefined) say(text);
    else appendFileSync(consoleFile, text, 'latin1');
  },
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => {
    void vm.kill();
  });
}
const { reason, code } = await vm.ended;
say(`enclave: ${reason ?? 'ended without a reason'}${code === null ? ', switched off' : ''}\n`);
process.exitCode = reason === 'exit code 0' ? 0 : 1;
