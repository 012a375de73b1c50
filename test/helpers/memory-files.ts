// A disk in memory for the host's file layer that keeps apart what was written and what was synced, so
// that a test can crash between any two operations and look at what a real disk may show then: unsynced
// data lost, kept, or torn, and unsynced directory entries gone. It can also fill up and fail syncs.

import type { Files, OpenFile } from '../../host-proxy/files.ts';
import { DiskFailure } from '../../host-proxy/files.ts';

const TEAR_BYTES = 64;

class Inode {
  current: Uint8Array = new Uint8Array();
  durable: Uint8Array = new Uint8Array();
  mode: number = 0o644;
  durableMode: number = 0o644;
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
  fault: Fault | null = null;
  /** Bytes that fit on the disk. */
  capacityBytes: number = Number.POSITIVE_INFINITY;
  /** A system code fails the operation; null lets it pass. */
  refuse: (operation: string, path: string) => string | null = () => null;
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
    return new MemoryFiles(this.#root);
  }

  /** The disk after a crash now. A function picks from [0, bound) for each torn piece. */
  afterCrash(survival: Survival): MemoryFiles {
    return new MemoryFiles(surviving(this.#root, survival));
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
    return node.current.slice();
  }

  readAt(path: string, position: number, bytes: number): Uint8Array | null {
    const node = this.#find(path);
    return node instanceof Inode ? node.current.slice(position, position + bytes) : null;
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
      const written = inode.current.slice();
      const { mode } = inode;
      await this.#operate(operation, path);
      await this.beforeSync();
      this.#assertUp();
      inode.durable = written;
      inode.durableMode = mode;
    };
    return {
      write: async (bytes, position) => {
        const copy = bytes.slice();
        await this.#operate('write', path);
        const room = this.#roomFor(inode, position + copy.length);
        // As on a real disk: what still fits is written before the write fails.
        const fitting = copy.subarray(0, Math.max(0, room - position));
        const grown = new Uint8Array(Math.max(inode.current.length, position + fitting.length));
        grown.set(inode.current);
        grown.set(fitting, position);
        inode.current = grown;
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
    if (this.operations === this.crashAt) {
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
function surviving(root: Directory, survival: Survival): Directory {
  const copies = new Map<Node, Node>();
  const copyNode = (node: Node): Node => {
    const known = copies.get(node);
    if (known !== undefined) return known;
    const copy = node instanceof Inode ? survivingFile(node, survival) : new Directory();
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

function survivingFile(inode: Inode, survival: Survival): Inode {
  const copy = new Inode();
  const { current, durable } = inode;
  if (survival === 'nothing') copy.current = durable.slice();
  else if (survival === 'everything') copy.current = current.slice();
  else copy.current = torn(current, durable, survival);
  copy.durable = copy.current.slice();
  copy.mode = survival === 'nothing' ? inode.durableMode : inode.mode;
  copy.durableMode = copy.mode;
  return copy;
}

/** Pieces of what was written survive in any combination; a file may end at any of them. */
function torn(
  current: Uint8Array,
  durable: Uint8Array,
  pick: (bound: number) => number,
): Uint8Array {
  const image = new Uint8Array(current.length);
  image.set(durable.subarray(0, current.length));
  let end = durable.length;
  for (let at = 0; at < current.length; at += TEAR_BYTES) {
    if (pick(2) === 0) continue;
    const piece = current.subarray(at, at + TEAR_BYTES);
    image.set(piece, at);
    end = Math.max(end, at + piece.length);
  }
  return image.slice(0, end);
}
