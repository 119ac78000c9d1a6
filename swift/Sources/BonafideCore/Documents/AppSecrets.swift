/// Secrets that the service hands to this install of the genuine app alone: an API key of a third party, say.
///
/// They are in memory and nowhere else: the SDK writes none of them down. Printed, dumped or reflected, a value of this
/// type says nothing of what it holds; a text that was read out of it does.
public struct AppSecrets: Sendable {
    static let type = "bonafide-secrets+jwt"
    static let claims: Set<String> = Document.addressed.union(["app", "iat", "exp", "version", "secrets"])

    /// Counts the publications; 0 where nothing was ever set.
    public let version: Int
    /// Until when the operator wants them used before the app asks again: seconds since 1970.
    public let expiresAt: Int
    private let members: [(name: String, value: String)]

    /// The names, in order.
    public var names: [String] { members.map(\.name).sorted() }

    /// The secret of that name; nil where there is none.
    public subscript(name: String) -> String? { members.first { $0.name == name }?.value }
}

extension AppSecrets {
    /// Opens the answer to `GET /secrets`.
    ///
    /// Proves: a pinned service key signed these secrets for this app, instance, `sign` key and question, they were
    /// sealed to this device, and have not ended. The question makes them fresh, so no version is compared. Not
    /// proven: that nothing else in the app reads them (N1). Throws `DocumentRefused`, and `KeyFailure.unavailable`.
    static func open(
        _ token: String, key: any AgreementKey, pins: Set<String>, addressee: Addressee, now: Double,
        crypto: some Crypto
    ) throws -> AppSecrets {
        let claims = try Document.openSealed(
            token, type: type, names: Self.claims, key: key, pins: pins, crypto: crypto)
        try Document.requireAddressee(claims, addressee)
        _ = try Document.time(claims, "iat")
        let secrets = AppSecrets(
            version: try Document.version(claims), expiresAt: try Document.time(claims, "exp"),
            members: try Document.members(claims, "secrets").map { member in
                guard let value = member.value.text else { throw DocumentRefused.claimsMalformed }
                return (name: member.name, value: value)
            })
        try Document.requireCurrent(secrets.expiresAt, now)
        return secrets
    }
}

extension AppSecrets: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "AppSecrets(redacted)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}
