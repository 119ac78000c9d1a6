/// What the operator sets for apps in the field: values that are the same for every install, and values for this one.
public struct RemoteConfiguration: Sendable {
    /// The values for every install. Whoever owns the connection can read them, and cannot write them.
    public let shared: Values
    /// The values for this install alone, which nobody else can read.
    public let sealed: Values

    /// One of the two parts. Printed, dumped or reflected, it says nothing of what it holds.
    public struct Values: Hashable, Sendable {
        /// Counts the publications; 0 where nothing was ever set.
        public let version: Int
        /// Until when the operator wants them used before the app asks again: seconds since 1970.
        public let expiresAt: Int
        /// All values, as one JSON object.
        public let json: JSON

        /// The value of that name; nil where there is none.
        public subscript(name: String) -> JSON? { json[name] }
    }
}

extension RemoteConfiguration {
    static let type = "bonafide-configuration+jwt"
    static let sharedClaims: Set<String> = ["app", "iat", "exp", "version", "values"]
    static let sealedClaims: Set<String> = sharedClaims.union(Document.addressed)

    /// Opens the part for every install. `seen` is the highest version of it that this install has taken, 0 before the
    /// first.
    ///
    /// Proves: a pinned service key signed these values for this app, no older than those seen, and they have not
    /// ended. Not proven: that they are the newest; who withholds newer ones gains until `expiresAt`. Throws
    /// `DocumentRefused`.
    static func openShared(
        _ token: String, pins: Set<String>, app: String, seen: Int, now: Double, crypto: some Crypto
    ) throws -> Values {
        let claims = try Document.openSigned(token, type: type, names: sharedClaims, pins: pins, crypto: crypto)
        try Document.requireApp(claims, app)
        let values = try Values(claims)
        try Document.requireNotOlder(values.version, than: seen)
        try Document.requireCurrent(values.expiresAt, now)
        return values
    }

    /// Opens the part for this install alone. Proves and throws as `AppSecrets.open`.
    static func openSealed(
        _ token: String, key: any AgreementKey, pins: Set<String>, addressee: Addressee, now: Double,
        crypto: some Crypto
    ) throws -> Values {
        let claims = try Document.openSealed(
            token, type: type, names: sealedClaims, key: key, pins: pins, crypto: crypto)
        try Document.requireAddressee(claims, addressee)
        let values = try Values(claims)
        try Document.requireCurrent(values.expiresAt, now)
        return values
    }
}

extension RemoteConfiguration.Values {
    fileprivate init(_ claims: JSON) throws {
        _ = try Document.time(claims, "iat")
        version = try Document.version(claims)
        expiresAt = try Document.time(claims, "exp")
        json = .object(try Document.members(claims, "values"))
    }
}

extension RemoteConfiguration.Values: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "RemoteConfiguration.Values(redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}
