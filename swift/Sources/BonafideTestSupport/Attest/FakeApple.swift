public import BonafideCore

/// The issuing side of a look-alike App Attest service: an intermediate that signs leaves, under a root.
///
/// A service takes its evidence only where it trusts this root, which a production configuration does not start with.
public struct FakeApple: Sendable {
    /// The root, DER: what a service of the test world trusts.
    public let root: [UInt8]
    /// The intermediate, DER.
    public let intermediate: [UInt8]
    let intermediateKey: EllipticKey

    /// Makes a root and an intermediate of its own.
    public init() {
        let rootKey = EllipticKey(.p384)
        intermediateKey = EllipticKey(.p384)
        root = Self.rootForm(rootKey).sign(point: rootKey.publicPoint, .p384, by: rootKey)
        intermediate = Self.intermediateForm(intermediateKey, under: rootKey).sign(
            point: intermediateKey.publicPoint, .p384, by: rootKey)
    }

    /// Takes certificates that were made elsewhere, DER, and the scalar (48 octets) of the intermediate's key on P-384;
    /// nil where that is no scalar.
    public init?(root: [UInt8], intermediate: [UInt8], intermediateKey scalar: [UInt8]) {
        guard let key = EllipticKey(.p384, scalar: scalar) else { return nil }
        self.root = root
        self.intermediate = intermediate
        intermediateKey = key
    }

    /// Reads what a test world prints: an object with `root`, `intermediate` and `intermediate_key` in base64; nil
    /// for anything else.
    public init?(_ json: JSON) {
        func octets(_ name: String) -> [UInt8]? { json[name]?.text.flatMap { Base64.decoded($0) } }
        guard let root = octets("root"), let intermediate = octets("intermediate"),
            let scalar = octets("intermediate_key")
        else { return nil }
        self.init(root: root, intermediate: intermediate, intermediateKey: scalar)
    }

    private static let rootName = DistinguishedName(commonName: "Apple App Attestation Root CA")
    private static let intermediateName = DistinguishedName(commonName: "Apple App Attestation CA 1")

    // Serials and dates are Apple's.
    private static func rootForm(_ key: EllipticKey) -> CertificateForm {
        CertificateForm(
            subject: rootName, issuer: rootName,
            serial: [0x0B, 0xF3, 0xBE, 0x0E, 0xF1, 0xCD, 0xD2, 0xE0, 0xFB, 0x8C, 0x6E, 0x72, 0x1F, 0x62, 0x17, 0x99],
            validity: 1_584_556_433...2_373_148_800,
            extensions: CertificateForm.authority(pathLength: nil)
                + CertificateForm.keyIdentifiers(of: key.publicPoint, issuer: nil),
            hash: .sha384)
    }

    private static func intermediateForm(_ key: EllipticKey, under root: EllipticKey) -> CertificateForm {
        CertificateForm(
            subject: intermediateName, issuer: rootName,
            serial: [0x09, 0xBA, 0xC5, 0xE1, 0xBC, 0x40, 0x1A, 0xD9, 0xD4, 0x53, 0x95, 0xBC, 0x38, 0x1A, 0x08, 0x55],
            validity: 1_584_556_855...1_899_590_400,
            extensions: CertificateForm.authority(pathLength: 0)
                + CertificateForm.keyIdentifiers(of: key.publicPoint, issuer: root.publicPoint),
            hash: .sha384)
    }

    /// Returns the leaf of an attested key, DER: valid for three days from a day before `now`.
    func issueLeaf(_ contents: LeafContents, now: Double) -> [UInt8] {
        let begin = Int(now) - 86400
        let form = CertificateForm(
            subject: DistinguishedName(commonName: hexadecimal(contents.keyID), unit: "AAA Certification"),
            issuer: Self.intermediateName,
            serial: withUnsafeBytes(of: Int(now * 1000).bigEndian, Array.init),
            validity: begin...begin + 3 * 86400,
            extensions: CertificateForm.endEntity + contents.extensions,
            hash: .sha256)
        return form.sign(point: contents.publicPoint, .p256, by: intermediateKey)
    }

    private func hexadecimal(_ octets: [UInt8]) -> String {
        octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
