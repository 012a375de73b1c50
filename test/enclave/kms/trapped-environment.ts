// Imported first: says afterwards which variables anybody has looked at.

const looked = new Set<string>();

process.env = new Proxy(process.env, {
  get(target, name): string | undefined {
    if (typeof name !== 'string') return undefined;
    looked.add(name);
    return target[name];
  },
  has(target, name): boolean {
    looked.add(String(name));
    return name in target;
  },
  ownKeys(target): (string | symbol)[] {
    looked.add('*');
    return Reflect.ownKeys(target);
  },
});

export function lookedAt(): readonly string[] {
  return [...looked].sort();
}
