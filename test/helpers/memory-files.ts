// A disk in memory for the host's file layer that keeps apart what was written and what was synced, so
// that a test can crash between any two operations and look at what a real disk may show then: unsynced
// data lost, kept, or torn, and unsynced directory entries gone. It can also fill up and fail syncs.

import type { Files, OpenFile } from '../../host-proxy/files.ts';
import { DiskFailure } from '../../host-proxy/files.ts';

/** What becomes dirty at once, and is written back at once. */
const PAGE_BYTES = 4096;
const DEFAULT_TEAR_BYTES = 64;

interface PendingWrite {
  readonly position: number;
  readonly bytes: Uint8Array;
}

class Inode {
  /** What processes see: the page cache. */
  current: Uint8Array = new Uint8Array();
  /** What is on the disk. */
  durable: Uint8Array = new Uint8Array();
  mode: number = 0o644;
  durableMode: number = 0o644;
  /** Written since the last sync, oldest first; one of them may be on the disk without another. */
  pending: PendingWrite[] = [];

  write(position: number, bytes: Uint8Array): void {
    const end = position + bytes.length;
    if (end > this.current.length) {
      const grown = new Uint8Array(end);
      grown.set(this.current);
      this.current = grown;
    }
    this.current.set(bytes, position);
    this.pending.push({ position, bytes });
  }

  /** The pages that `writes` have made dirty get to the disk as they are in the cache. */
  writeBack(writes: readonly PendingWrite[]): void {
    const grown = new Uint8Array(this.current.length);
    grown.set(this.durable.subarray(0, grown.length));
    for (const { position, bytes } of writes) {
      const first = Math.floor(position / PAGE_BYTES) * PAGE_BYTES;
      const end = Math.ceil((position + bytes.length) / PAGE_BYTES) * PAGE_BYTES;
      grown.set(this.current.subarray(first, end), first);
    }
    this.durable = grown;
    this.durableMode = this.mode;
    this.pending = this.pending.filter((write) => !writes.includes(write));
  }

  /**
   * After a sync that failed the kernel calls the pages clean: they are read as they were written, no later
   * sync writes them, and they are gone with the power.
   */
  forget(): void {
    this.pending = [];
  }
}

type Change = readonly { readonly name: string; readonly node: Node | null }[];

class Directory {
  readonly entries: Map<string, Node> = new Map();
  durable: Map<string, Node> = new Map();
  /** Changes since the last sync, oldest first. */
  pending: Change[] = [];

  change(changes: Change): void {
    apply(this.entries, changes);
    this.pending.push(changes);
  }
}

type Node = Inode | Directory;

function apply(entries: Map<string, Node>, changes: Change): void {
  for (const { name, node } of changes) {
    if (node === null) entries.delete(name);
    else entries.set(name, node);
  }
}

/** What survives a crash of what was not synced. */
export type Survival = 'nothing' | 'everything' | ((bound: number) => number);

export interface Fault {
  /** Operation as in DiskFailure, for example `fdatasync`. */
  readonly operation: string;
  /** Which of these operations fails, from 0. */
  readonly at: number;
  readonly systemCode: string;
}

/** Thrown by every operation from the crash on. */
export class Crash extends Error {}

export class MemoryFiles implements Files {
  readonly #root: Directory;
  /** Mutating operations so far; the crash comes in place of number `crashAt`. */
  operations = 0;
  crashAt: number = Number.POSITIVE_INFINITY;
  /** The crash comes in place of the operation for which it first answers true. */
  crashWhen: (operation: string, path: string) => boolean = () => false;
  fault: Fault | null = null;
  /** Bytes that fit on the disk. */
  capacityBytes: number = Number.POSITIVE_INFINITY;
  /** A system code fails the operation; null lets it pass. */
  refuse: (operation: string, path: string) => string | null = () => null;
  /** What a sector is: a crash keeps or loses it as a whole. */
  tearBytes: number = DEFAULT_TEAR_BYTES;
  /** What a read gives instead; it may throw a DiskFailure. */
  onRead: (path: string, bytes: Uint8Array) => Uint8Array = (_, bytes) => bytes;
  /** Syncs resolve after this. */
  beforeSync: () => Promise<void> = () => Promise.resolve();
  /** Names of all operations in order. */
  readonly trace: string[] = [];
  readonly #seen = new Map<string, number>();

  constructor(root: Directory = new Directory()) {
    this.#root = root;
  }

  /** The disk after the process alone was killed: what was not synced is still there, and still not. */
  afterKill(): MemoryFiles {
    const files = new MemoryFiles(this.#root);
    files.tearBytes = this.tearBytes;
    return files;
  }

  /** The disk after a crash now. A function picks from [0, bound) for each torn piece. */
  afterCrash(survival: Survival): MemoryFiles {
    const files = new MemoryFiles(surviving(this.#root, survival, this.tearBytes));
    files.tearBytes = this.tearBytes;
    return files;
  }

  /** Path → content of all files below `directory`, as a process sees them. */
  contents(directory: string): Map<string, Uint8Array> {
    const found = new Map<string, Uint8Array>();
    const walk = (node: Node | null, path: string): void => {
      if (node instanceof Inode) found.set(path, node.current);
      if (!(node instanceof Directory)) return;
      for (const [name, child] of node.entries) walk(child, path === '' ? name : `${path}/${name}`);
    };
    walk(this.#find(directory), '');
    return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  mode(path: string): number | null {
    const node = this.#find(path);
    return node instanceof Inode ? node.mode : null;
  }

  /** Overwrites bytes behind everybody's back, durably. */
  damage(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const node = this.#file('damage', path);
    node.current = change(node.current.slice());
    node.durable = node.current.slice();
    node.pending = [];
  }

  async create(path: string): Promise<OpenFile> {
    await this.#operate('create', path);
    const { parent, name } = this.#parent('create', path);
    if (parent.entries.has(name)) throw failure('create', path, 'EEXIST');
    const inode = new Inode();
    parent.change([{ name, node: inode }]);
    return this.#open(inode, path);
  }

  readFile(path: string, maxBytes: number): Uint8Array | null {
    const node = this.#find(path);
    if (!(node instanceof Inode)) return null;
    if (node.current.length > maxBytes) throw failure('read', path, 'EFBIG');
    return this.onRead(path, node.current.slice());
  }

  readAt(path: string, position: number, bytes: number): Uint8Array | null {
    const node = this.#find(path);
    if (!(node instanceof Inode)) return null;
    return this.onRead(path, node.current.slice(position, position + bytes));
  }

  size(path: string): number | null {
    const node = this.#find(path);
    return node instanceof Inode ? node.current.length : null;
  }

  isDirectory(path: string): boolean {
    return this.#find(path) instanceof Directory;
  }

  list(directory: string): readonly string[] {
    const node = this.#find(directory);
    return node instanceof Directory ? [...node.entries.keys()].sort() : [];
  }

  async makeDirectory(path: string): Promise<boolean> {
    await this.#operate('mkdir', path);
    const { parent, name } = this.#parent('mkdir', path);
    if (parent.entries.has(name)) return false;
    parent.change([{ name, node: new Directory() }]);
    return true;
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#operate('rename', to);
    const source = this.#parent('rename', from);
    const target = this.#parent('rename', to);
    const node = source.parent.entries.get(source.name);
    if (node === undefined) throw failure('rename', from, 'ENOENT');
    if (source.parent === target.parent) {
      source.parent.change([
        { name: source.name, node: null },
        { name: target.name, node },
      ]);
    } else {
      target.parent.change([{ name: target.name, node }]);
      source.parent.change([{ name: source.name, node: null }]);
    }
  }

  async removeFile(path: string): Promise<void> {
    await this.#operate('unlink', path);
    this.#file('unlink', path);
    const { parent, name } = this.#parent('unlink', path);
    parent.change([{ name, node: null }]);
  }

  async removeDirectory(path: string): Promise<void> {
    await this.#operate('rmdir', path);
    const node = this.#find(path);
    if (!(node instanceof Directory)) throw failure('rmdir', path, 'ENOTDIR');
    if (node.entries.size > 0) throw failure('rmdir', path, 'ENOTEMPTY');
    const { parent, name } = this.#parent('rmdir', path);
    parent.change([{ name, node: null }]);
  }

  async syncFile(path: string): Promise<void> {
    const file = this.#file('fsync', path);
    await this.#open(file, path).sync();
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#operate('fsync directory', path);
    const node = this.#find(path);
    if (!(node instanceof Directory)) throw failure('fsync directory', path, 'ENOENT');
    node.durable = new Map(node.entries);
    node.pending = [];
  }

  #open(inode: Inode, path: string): OpenFile {
    const sync = async (operation: string): Promise<void> => {
      const written = inode.pending.slice();
      try {
        await this.#operate(operation, path);
      } catch (error) {
        if (error instanceof DiskFailure) inode.forget();
        throw error;
      }
      await this.beforeSync();
      this.#assertUp();
      inode.writeBack(written);
    };
    return {
      write: async (bytes, position) => {
        const copy = bytes.slice();
        try {
          await this.#operate('write', path);
        } catch (error) {
          // As on a real disk: a write may have done a part before it fails.
          if (error instanceof DiskFailure)
            inode.write(position, copy.subarray(0, copy.length / 2));
          throw error;
        }
        const room = this.#roomFor(inode, position + copy.length);
        // What still fits is written before the write fails.
        const fitting = copy.subarray(0, Math.max(0, room - position));
        inode.write(position, fitting);
        if (fitting.length < copy.length) throw failure('write', path, 'ENOSPC');
      },
      datasync: () => sync('fdatasync'),
      sync: () => sync('fsync'),
      setMode: async (mode) => {
        await this.#operate('chmod', path);
        inode.mode = mode;
      },
      close: () => this.#operate('close', path),
    };
  }

  async #operate(operation: string, path: string): Promise<void> {
    this.#assertUp();
    if (this.operations === this.crashAt || this.crashWhen(operation, path)) {
      this.operations = Number.POSITIVE_INFINITY;
      throw new Crash(`crash before ${operation} ${path}`);
    }
    this.operations++;
    this.trace.push(`${operation} ${path}`);
    const count = this.#seen.get(operation) ?? 0;
    this.#seen.set(operation, count + 1);
    await Promise.resolve();
    this.#assertUp();
    const refused = this.refuse(operation, path);
    if (refused !== null) throw failure(operation, path, refused);
    const { fault } = this;
    if (fault !== null && fault.operation === operation && fault.at === count) {
      throw failure(operation, path, fault.systemCode);
    }
  }

  #assertUp(): void {
    if (this.operations === Number.POSITIVE_INFINITY) throw new Crash('the machine is down');
  }

  /** Bytes of all files. */
  get usedBytes(): number {
    let used = 0;
    for (const bytes of this.contents('').values()) used += bytes.length;
    return used;
  }

  /** Size up to which the file can grow, at most `size`. */
  #roomFor(inode: Inode, size: number): number {
    if (size <= inode.current.length || this.capacityBytes === Number.POSITIVE_INFINITY)
      return size;
    return Math.min(size, inode.current.length + Math.max(0, this.capacityBytes - this.usedBytes));
  }

  #find(path: string): Node | null {
    let node: Node = this.#root;
    for (const name of path.split('/').filter((part) => part !== '')) {
      if (!(node instanceof Directory)) return null;
      const child = node.entries.get(name);
      if (child === undefined) return null;
      node = child;
    }
    return node;
  }

  #file(operation: string, path: string): Inode {
    const node = this.#find(path);
    if (!(node instanceof Inode)) throw failure(operation, path, 'ENOENT');
    return node;
  }

  #parent(operation: string, path: string): { parent: Directory; name: string } {
    const cut = path.lastIndexOf('/');
    const parent = this.#find(path.slice(0, Math.max(cut, 0)));
    if (!(parent instanceof Directory)) throw failure(operation, path, 'ENOENT');
    return { parent, name: path.slice(cut + 1) };
  }
}

function failure(operation: string, path: string, code: string): DiskFailure {
  return new DiskFailure(operation, path, Object.assign(new Error(code), { code }));
}

/** Nodes are shared between directories (a rename that is half durable), so copies are remembered. */
function surviving(root: Directory, survival: Survival, tearBytes: number): Directory {
  const copies = new Map<Node, Node>();
  const copyNode = (node: Node): Node => {
    const known = copies.get(node);
    if (known !== undefined) return known;
    const copy = node instanceof Inode ? survivingFile(node, survival, tearBytes) : new Directory();
    copies.set(node, copy);
    if (node instanceof Directory && copy instanceof Directory) {
      const entries = new Map(node.durable);
      const kept = survivingCount(node.pending.length, survival);
      for (const changes of node.pending.slice(0, kept)) apply(entries, changes);
      for (const [name, child] of entries) copy.entries.set(name, copyNode(child));
      copy.durable = new Map(copy.entries);
    }
    return copy;
  };
  const copy = copyNode(root);
  return copy instanceof Directory ? copy : new Directory();
}

function survivingCount(pending: number, survival: Survival): number {
  if (survival === 'nothing') return 0;
  return survival === 'everything' ? pending : survival(pending + 1);
}

function survivingFile(inode: Inode, survival: Survival, tearBytes: number): Inode {
  const copy = new Inode();
  const { current, durable, pending } = inode;
  if (survival === 'nothing' || pending.length === 0) copy.current = durable.slice();
  else if (survival === 'everything') {
    const whole = new Inode();
    Object.assign(whole, { current, durable });
    whole.writeBack(pending);
    copy.current = whole.durable;
  } else copy.current = torn(inode, survival, tearBytes);
  copy.durable = copy.current.slice();
  copy.mode = survival === 'nothing' ? inode.durableMode : inode.mode;
  copy.durableMode = copy.mode;
  return copy;
}

/** Each sector is as one of the writes to it has left it; the file ends at any of them. */
function torn(
  { current, durable, pending }: Inode,
  pick: (bound: number) => number,
  tearBytes: number,
): Uint8Array {
  const image = new Uint8Array(Math.max(current.length, durable.length));
  image.set(durable);
  let end = durable.length;
  const sectors = new Set<number>();
  for (const { position, bytes } of pending) {
    const last = Math.ceil((position + bytes.length) / tearBytes);
    for (let at = Math.floor(position / tearBytes); at < last; at++) sectors.add(at);
  }
  for (const sector of sectors) {
    const [begin, stop] = [sector * tearBytes, (sector + 1) * tearBytes];
    const touching = pending.filter(
      ({ position, bytes }) => position < stop && position + bytes.length > begin,
    );
    for (const { position, bytes } of touching.slice(0, pick(touching.length + 1))) {
      const from = Math.max(begin, position);
      const to = Math.min(stop, position + bytes.length);
      image.set(bytes.subarray(from - position, to - position), from);
      end = Math.max(end, to);
    }
  }
  return image.slice(0, end);
}
