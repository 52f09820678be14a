// One MLS device (RFC 9420) by ts-mls, with the credential and the extension that Latchkey's groups demand.

import {
  acceptAll,
  createApplicationMessage,
  createCommit,
  createGroup,
  decodeMlsMessage,
  defaultAuthenticationService,
  defaultKeyPackageEqualityConfig,
  defaultKeyRetentionConfig,
  defaultPaddingConfig,
  emptyPskIndex,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  mlsExporter,
  processMessage,
} from "ts-mls";

/** Names the device list of a group; the range for private use of RFC 9420 section 17.3. */
const LIST_EXTENSION = 0xf0c1;

const CONFIG = {
  keyRetentionConfig: defaultKeyRetentionConfig,
  // Our key packages are valid from the beginning of the Unix epoch: a camera may start without a clock.
  lifetimeConfig: { maximumTotalLifetime: 1n << 62n, validateLifetimeOnReceive: false },
  keyPackageEqualityConfig: defaultKeyPackageEqualityConfig,
  paddingConfig: defaultPaddingConfig,
  authService: defaultAuthenticationService,
};

const CAPABILITIES = {
  versions: ["mls10"],
  ciphersuites: ["MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"],
  extensions: [LIST_EXTENSION],
  proposals: [],
  credentials: ["basic"],
};

export class MlsDevice {
  static async make() {
    const device = new MlsDevice();
    device.suite = await getCiphersuiteImpl(getCiphersuiteFromName(CAPABILITIES.ciphersuites[0]));
    device.signature = await device.suite.signature.keygen();
    return device;
  }

  /** Takes its name: household id, then device id. Returns the signature key that a device list has to name. */
  name(household, id) {
    this.credential = { credentialType: "basic", identity: bytes(household + id) };
    return hex(this.signature.publicKey);
  }

  async keyPackage() {
    const lifetime = { notBefore: 0n, notAfter: 1n << 40n };
    this.package = await generateKeyPackageWithKey(
      this.credential,
      CAPABILITIES,
      lifetime,
      [],
      this.signature,
      this.suite,
    );
    return message({ wireformat: "mls_key_package", keyPackage: this.package.publicPackage });
  }

  async join(welcome) {
    const { publicPackage, privatePackage } = this.package;
    const { welcome: content } = read(welcome);
    this.state = await joinGroup(
      content,
      publicPackage,
      privatePackage,
      emptyPskIndex,
      this.suite,
      undefined,
      undefined,
      CONFIG,
    );
    return this.view();
  }

  async found(group, extension) {
    await this.keyPackage();
    const { publicPackage, privatePackage } = this.package;
    const id = bytes(group);
    this.state = await createGroup(id, publicPackage, privatePackage, [list(extension)], this.suite, CONFIG);
    return this.view();
  }

  /** Commits adds, removes and every update that was proposed, together with the list reference. */
  async commit(add, remove, extension) {
    const extraProposals = [
      { proposalType: "group_context_extensions", groupContextExtensions: { extensions: [list(extension)] } },
      ...add.map((keyPackage) => ({ proposalType: "add", add: { keyPackage: read(keyPackage).keyPackage } })),
      ...remove.map((removed) => ({ proposalType: "remove", remove: { removed } })),
    ];
    const options = { wireAsPublicMessage: true, extraProposals, ratchetTreeExtension: true };
    const made = await createCommit({ state: this.state, cipherSuite: this.suite }, options);
    this.state = made.newState;
    const welcome = made.welcome && message({ wireformat: "mls_welcome", welcome: made.welcome });
    return { commit: hex(encodeMlsMessage(made.commit)), welcome, ...this.view() };
  }

  async process(text) {
    const done = await processMessage(read(text), this.state, emptyPskIndex, acceptAll, this.suite);
    this.state = done.newState;
    const content = done.kind === "applicationMessage" ? hex(done.message) : undefined;
    return { content, ...this.view() };
  }

  async application(content) {
    const made = await createApplicationMessage(this.state, bytes(content), this.suite);
    this.state = made.newState;
    return message({ wireformat: "mls_private_message", privateMessage: made.privateMessage });
  }

  /** The SFrame base key of the present epoch (RFC 9605 section 5.2). */
  async baseKey() {
    const secret = this.state.keySchedule.exporterSecret;
    return mlsExporter(secret, "SFrame 1.0 Base Key", new Uint8Array(), 16, this.suite);
  }

  view() {
    const { groupContext, privatePath, ratchetTree, groupActiveState } = this.state;
    const leaves = ratchetTree.filter((node) => node?.nodeType === "leaf");
    return {
      group: hex(groupContext.groupId),
      epoch: Number(groupContext.epoch),
      leaf: privatePath.leafIndex,
      members: leaves.map((node) => hex(node.leaf.credential.identity)),
      extensions: groupContext.extensions.map((one) => [one.extensionType, hex(one.extensionData)]),
      removed: groupActiveState.kind === "removedFromGroup",
    };
  }
}

function list(data) {
  return { extensionType: LIST_EXTENSION, extensionData: bytes(data) };
}

function read(text) {
  const decoded = decodeMlsMessage(bytes(text), 0);
  if (decoded === undefined) throw new Error("not an MLSMessage");
  return decoded[0];
}

function message(content) {
  return hex(encodeMlsMessage({ version: "mls10", ...content }));
}

function bytes(text) {
  return new Uint8Array(Buffer.from(text, "hex"));
}

function hex(data) {
  return Buffer.from(data).toString("hex");
}
