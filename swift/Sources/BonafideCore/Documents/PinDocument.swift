/// Which keys the servers of an app may show, as a service key signed it.
///
/// The document is a compact JWS of `typ` `bonafide-pins+jwt`; its claims are exactly `app`, `version`, `exp`, and
/// `pins`: for each host SHA-256, in base64, of two or more SubjectPublicKeyInfos, one of them a spare.
public struct PinDocument: Hashable, Sendable {
    static let type = "bonafide-pins+jwt"
    static let claims: Set<String> = ["app", "version", "exp", "pins"]
    static let maxHosts = 64
    static let pinsOfAHost = 2...16
    static let pinOctets = 32

    /// Counts the publications.
    public let version: Int
    /// Seconds since 1970. From then on the system's own judgement alone counts: an app that nobody updates any more
    /// must not lock its users out when the servers' keys have long changed.
    public let expiresAt: Int
    /// Host in lower case; digests of 32 octets.
    public let digests: [String: Set<[UInt8]>]
    /// The document as it was signed.
    let token: String

    /// Takes a document that a pinned service key signed for this app, however old: the one that an app carries.
    ///
    /// Not proven: that it is the newest, and that it has not ended. Throws `DocumentRefused`.
    package init(_ token: String, pins: Set<String>, app: String, crypto: some Crypto) throws {
        let claims = try Document.openSigned(
            token, type: Self.type, names: Self.claims, pins: pins, crypto: crypto)
        try Document.requireApp(claims, app)
        let hosts = try Document.members(claims, "pins")
        guard hosts.count <= Self.maxHosts else { throw DocumentRefused.claimsMalformed }
        version = try Document.version(claims)
        expiresAt = try Document.time(claims, "exp")
        digests = try hosts.reduce(into: [:]) { $0[try Self.host($1.name)] = try Self.digests($1.value) }
        self.token = token
    }

    /// Opens the answer to `GET /pins`. `seen` is the highest version that this install has taken, 0 before the first.
    ///
    /// Proves besides: it is no older than those seen, and has not ended. Not proven: that it is the newest, nor that
    /// any host shows such a key. Throws `DocumentRefused`.
    static func open(
        _ token: String, pins: Set<String>, app: String, seen: Int, now: Double, crypto: some Crypto
    ) throws -> PinDocument {
        let document = try PinDocument(token, pins: pins, app: app, crypto: crypto)
        try Document.requireNotOlder(document.version, than: seen)
        try Document.requireCurrent(document.expiresAt, now)
        return document
    }

    /// Whether this document takes the place of another: by its version, and where that is the same by its end.
    package func replaces(_ other: PinDocument?) -> Bool {
        guard let other else { return true }
        return (version, expiresAt) > (other.version, other.expiresAt)
    }

    /// Whether anything has to be looked at for this host.
    package func concerns(_ host: String, at now: Double) -> Bool {
        now < Double(expiresAt) && digests[host.lowercased()] != nil
    }

    /// Whether a server may show a chain of these keys (SHA-256 of each SubjectPublicKeyInfo). Hosts without pins may
    /// show any. `now` in seconds since 1970.
    public func admits(_ keys: some Sequence<[UInt8]>, of host: String, at now: Double) -> Bool {
        guard concerns(host, at: now), let pinned = digests[host.lowercased()] else { return true }
        return keys.contains { pinned.contains($0) }
    }

    /// A host as TLS names it: labels of letters, digits and inner hyphens in lower case; no port, final dot or
    /// wildcard.
    private static func host(_ name: String) throws -> String {
        let labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let hyphen = UInt8(ascii: "-")
        guard (1...253).contains(name.utf8.count),
            labels.allSatisfy({ label in
                (1...63).contains(label.count) && label.first != hyphen && label.last != hyphen
                    && label.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == hyphen }
            })
        else { throw DocumentRefused.claimsMalformed }
        return name
    }

    private static func digests(_ value: JSON) throws -> Set<[UInt8]> {
        guard let texts = value.elements else { throw DocumentRefused.claimsMalformed }
        let digests = texts.compactMap { $0.text.flatMap { Base64.decoded($0) } }.filter { $0.count == pinOctets }
        guard digests.count == texts.count, pinsOfAHost.contains(digests.count),
            Set(digests).count == digests.count
        else { throw DocumentRefused.claimsMalformed }
        return Set(digests)
    }
}
