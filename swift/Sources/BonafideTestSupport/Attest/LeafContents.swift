/// What Apple writes into the certificate of an attested key, in the order and form that each iOS gets it in.
struct LeafContents {
    /// 32 octets.
    let keyID: [UInt8]
    let publicPoint: [UInt8]
    let nonce: [UInt8]
    let appID: String
    let system: SystemVersion

    /// DER of the extensions that are Apple's own, after those that every leaf has.
    var extensions: [[UInt8]] {
        let usage = CertificateForm.extension("2.5.29.37", DER.sequence(DER.oid("1.2.840.113635.100.4.24")))
        let nonce = DER.sequence(DER.tagged(1, DER.octets(nonce)))
        let common = [
            CertificateForm.extension("1.2.840.113635.100.8.5", keyUse),
            CertificateForm.extension("1.2.840.113635.100.8.7", systemInformation),
            CertificateForm.extension("1.2.840.113635.100.8.2", nonce),
        ]
        guard system.hasLaunchExtensions else { return common }
        return [usage] + common + [CertificateForm.extension("1.2.840.113635.100.8.6", Self.accessConditions)]
    }

    /// What the key may do, and for which app; the numbers are those of real leaves.
    private var keyUse: [UInt8] {
        var parts = [DER.tagged(4, DER.integer(10))]
        parts += (1200...1203).map { DER.tagged($0, DER.integer(1)) }
        parts.append(DER.tagged(1204, DER.octets(Array(appID.utf8))))
        if !system.hasLaunchExtensions { parts.append(DER.tagged(5, DER.octets(Array("sks ".utf8)))) }
        parts.append(DER.tagged(1206, DER.integer(5)))
        parts += [1207, 1209, 1210].map { DER.tagged($0, DER.integer(0)) }
        if system.major >= 17 { parts.append(DER.tagged(1211, DER.integer(0))) }
        if system.hasLaunchExtensions { parts.append(DER.tagged(10, DER.integer(0))) }
        return DER.sequence(of: parts)
    }

    /// The system's version under [1400]; later versions of iOS say more around it.
    private var systemInformation: [UInt8] {
        let version = DER.octets(Array(system.text.utf8))
        var parts = [DER.tagged(1400, version)]
        if system.major >= 17 {
            parts += [
                DER.tagged(1104, DER.integer(2)), DER.tagged(1403, DER.octets(Array(system.build.utf8))),
                DER.tagged(1405, version), DER.tagged(1406, DER.integer(0)),
            ]
        }
        if system.major >= 18 {
            parts += (1407...1411).map { DER.tagged($0, DER.integer(0)) }
            parts.append(DER.tagged(1026, DER.octets(Array("iphoneos".utf8))))
        }
        return DER.sequence(of: parts)
    }

    /// What this extension is in Apple's published sample of iOS 27: each operation, and that it is allowed.
    private static let accessConditions: [UInt8] = {
        let conditions = ["okd", "oa", "osgn", "odel", "ock"].map { operation in
            DER.sequence(DER.text(operation), DER.tagged(1, DER.yes))
        }
        let rules = DER.sequence(DER.text("11"), DER.sequence(of: conditions))
        return DER.sequence(DER.tagged(3, DER.octets(rules)))
    }()
}

/// A version of iOS such as 17.2.1, which decides the shape of what App Attest makes.
struct SystemVersion {
    let text: String

    var major: Int { Int(text.prefix { $0 != "." }) ?? 0 }

    /// Since 27 authenticator data ends in a map, and leaves have two further extensions.
    var hasLaunchExtensions: Bool { major >= 27 }

    /// A build number of that system's form; since 26 the numbers of systems are years.
    var build: String { "\(major >= 26 ? major - 3 : major + 4)A1" }
}
