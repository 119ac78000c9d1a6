import BonafideCore

/// One key of App Attest, and what is made with it; byte-shaped as iOS makes it.
struct AttestedKey: Sendable {
    let key = EllipticKey(.p256)
    var counter: UInt32 = 0
    var isAttested = false

    /// SHA-256 of the public key, 32 octets.
    var id: [UInt8] { Primitives.digest(key.publicPoint, .sha256) }

    /// The attestation object of this key, CBOR.
    func attestation(clientDataHash: [UInt8], by maker: EvidenceMaker, now: Double) -> [UInt8] {
        let data = maker.attestedData(of: self)
        let contents = LeafContents(
            keyID: id, publicPoint: key.publicPoint, nonce: Primitives.digest(data + clientDataHash, .sha256),
            appID: maker.appID, system: maker.system)
        let leaf = maker.apple.issueLeaf(contents, now: now)
        let statement = CBOR.map(
            (CBOR.text("x5c"), CBOR.array(CBOR.octets(leaf), CBOR.octets(maker.apple.intermediate))),
            (CBOR.text("receipt"), CBOR.octets(EvidenceMaker.receipt)))
        return CBOR.map(
            (CBOR.text("fmt"), CBOR.text("apple-appattest")), (CBOR.text("attStmt"), statement),
            (CBOR.text("authData"), CBOR.octets(data)))
    }

    /// The assertion object of this key with its counter as it stands, CBOR.
    func assertion(clientDataHash: [UInt8], by maker: EvidenceMaker) -> [UInt8] {
        let data = maker.assertedData(counter: counter)
        let nonce = Primitives.digest(data + clientDataHash, .sha256)
        // The nonce is hashed once more by the signature.
        let signature = DER.signature(key.signature(of: nonce, .sha256))
        return CBOR.map(
            (CBOR.text("signature"), CBOR.octets(signature)), (CBOR.text("authenticatorData"), CBOR.octets(data)))
    }
}

/// What is the same for all keys of one app on one device.
struct EvidenceMaker {
    let apple: FakeApple
    let appID: String
    let environment: SoftwareAttestor.Environment
    let system: SystemVersion
    let bundleVersion: String
    let validationCategory: UInt32
    let setsExtensionFlag: Bool

    /// Of a real receipt's size, and verifiable by nobody.
    static let receipt: [UInt8] = {
        let filling = (0..<116).flatMap { Primitives.digest([UInt8($0)], .sha256) }
        return [0x30, 0x80] + filling + [0, 0, 0, 0]
    }()

    /// Authenticator data of an attestation: with the credential, and a counter of zero.
    func attestedData(of key: AttestedKey) -> [UInt8] {
        let point = key.key.publicPoint
        let coseKey = CBOR.map(
            (CBOR.integer(1), CBOR.integer(2)), (CBOR.integer(3), CBOR.integer(-7)),
            (CBOR.integer(-1), CBOR.integer(1)), (CBOR.integer(-2), CBOR.octets(Array(point[1..<33]))),
            (CBOR.integer(-3), CBOR.octets(Array(point[33...]))))
        return start(counter: 0) + environment.aaguid + [0, 32] + key.id + coseKey + extensions
    }

    /// Authenticator data of an assertion: AT is set although no credential follows.
    func assertedData(counter: UInt32) -> [UInt8] { start(counter: counter) + extensions }

    private func start(counter: UInt32) -> [UInt8] {
        let flags: UInt8 = setsExtensionFlag && system.hasLaunchExtensions ? 0xC0 : 0x40
        return Primitives.digest(Array(appID.utf8), .sha256) + [flags]
            + withUnsafeBytes(of: counter.bigEndian, Array.init)
    }

    private var extensions: [UInt8] {
        guard system.hasLaunchExtensions else { return [] }
        return CBOR.map(
            (CBOR.text("apple_bundle_version_01"), CBOR.text(bundleVersion)),
            (
                CBOR.text("apple_validation_category_01"),
                CBOR.octets(withUnsafeBytes(of: validationCategory.littleEndian, Array.init))
            ))
    }
}
