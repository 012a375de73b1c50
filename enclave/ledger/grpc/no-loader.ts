// In place of @grpc/proto-loader in the image: grpc-js asks for it only when its channelz or ORCA services are added, which
// are not. It cannot be loaded without code generation (docs/decisions/0022-grpc-without-code-generation.md).

/** Throws: nothing in the enclave asks for it. */
export function loadSync(): never {
  throw new Error('no descriptors are loaded at run time');
}
