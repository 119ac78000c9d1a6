/// A certificate as its issuer fills it in (RFC 5280).
struct CertificateForm {
    let subject: DistinguishedName
    let issuer: DistinguishedName
    /// Big-endian.
    let serial: [UInt8]
    /// Seconds since 1970, both ends inside.
    let validity: ClosedRange<Int>
    /// DER of each extension.
    let extensions: [[UInt8]]
    let hash: Hash
}

/// A name in Apple's order: CN, OU, O, ST.
struct DistinguishedName {
    let commonName: String
    var unit: String?

    var der: [UInt8] {
        let parts = [
            ("2.5.4.3", commonName), ("2.5.4.11", unit), ("2.5.4.10", "Apple Inc."), ("2.5.4.8", "California"),
        ]
        return DER.sequence(
            of: parts.compactMap { kind, text in
                text.map { DER.set(DER.sequence(DER.oid(kind), DER.text($0))) }
            })
    }
}

extension CertificateForm {
    /// Returns the certificate, DER: this form for the key at `point` (X9.63) of `curve`, signed by `issuerKey`.
    func sign(point: [UInt8], _ curve: Curve, by issuerKey: EllipticKey) -> [UInt8] {
        let algorithm = DER.sequence(DER.oid(hash == .sha256 ? "1.2.840.10045.4.3.2" : "1.2.840.10045.4.3.3"))
        let key = DER.sequence(
            DER.sequence(
                DER.oid("1.2.840.10045.2.1"), DER.oid(curve.identifier)),
            DER.bits(point))
        let version3 = DER.tagged(0, DER.integer(2))
        let content = DER.sequence(
            version3, DER.integer(serial), algorithm, issuer.der,
            DER.sequence(DER.time(validity.lowerBound), DER.time(validity.upperBound)), subject.der, key,
            DER.tagged(3, DER.sequence(of: extensions)))
        let signature = DER.signature(issuerKey.signature(of: content, hash))
        return DER.sequence(content, algorithm, DER.bits(signature))
    }

    static func `extension`(_ oid: String, critical: Bool = false, _ value: [UInt8]) -> [UInt8] {
        DER.sequence(DER.oid(oid), critical ? DER.yes : [], DER.octets(value))
    }

    /// Basic constraints of an authority with at most `pathLength` authorities below it, and what it may sign.
    static func authority(pathLength: Int?) -> [[UInt8]] {
        let constraints = DER.sequence(DER.yes, pathLength.map { DER.integer($0) } ?? [])
        let certificatesAndLists: [UInt8] = [0x06]
        return [
            `extension`("2.5.29.19", critical: true, constraints),
            `extension`("2.5.29.15", critical: true, DER.bits(certificatesAndLists, unused: 1)),
        ]
    }

    /// Basic constraints and key usage of an end entity, as Apple's leaves have them.
    static let endEntity: [[UInt8]] = [
        `extension`("2.5.29.19", critical: true, DER.sequence()),
        `extension`("2.5.29.15", critical: true, DER.bits([0xF0], unused: 4)),
    ]

    /// The identifiers of an authority's key and its issuer's: any octets do that tell keys apart (RFC 7093).
    static func keyIdentifiers(of point: [UInt8], issuer: [UInt8]?) -> [[UInt8]] {
        func identifier(_ point: [UInt8]) -> [UInt8] { Array(Primitives.digest(point, .sha256).prefix(20)) }
        let own = `extension`("2.5.29.14", DER.octets(identifier(point)))
        guard let issuer else { return [own] }
        return [`extension`("2.5.29.35", DER.sequence(DER.element(0x80, identifier(issuer)))), own]
    }
}
