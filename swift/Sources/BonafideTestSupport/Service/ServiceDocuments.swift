public import BonafideCore

/// What a service has for apps after they enrolled, by versions that count on.
struct ServiceDocuments: Sendable {
    /// How long secrets and configuration last, in seconds.
    static let lifetime = 3600

    private var secrets: (version: Int, members: [String: String]) = (0, [:])
    private var configuration: (version: Int, shared: JSON, sealed: JSON) = (0, [:], [:])
    private var pins: (version: Int, until: Double, hosts: [String: [String]])?

    mutating func set(secrets members: [String: String]) { secrets = (secrets.version + 1, members) }

    mutating func set(shared: JSON, sealed: JSON) {
        configuration = (configuration.version + 1, shared, sealed)
    }

    mutating func publish(pins hosts: [String: [String]], until: Double) {
        pins = ((pins?.version ?? 0) + 1, until, hosts)
    }

    /// The claims of the pin document; nil before the first.
    func pinClaims(app: String) -> JSON? {
        pins.map { pins in
            let hosts = pins.hosts.sorted { $0.key < $1.key }.map { host in
                JSON.Member(host.key, .array(host.value.map(JSON.string)))
            }
            return [
                "app": .string(app), "version": .integer(pins.version), "exp": .integer(Int(pins.until)),
                "pins": .object(hosts),
            ]
        }
    }

    /// The body that answers a question; nil where there is nothing to answer.
    func answer(
        _ endpoint: SimulatedService.Endpoint, app: String, to addressee: DocumentClaims.Addressee, agree: PublicKey,
        by issuer: SessionIssuer, _ now: Double
    ) -> JSON? {
        func claims(_ version: Int, _ content: DocumentClaims.Content) -> DocumentClaims {
            DocumentClaims(
                app: app, addressee: addressee, issuedAt: Int(now), expiresAt: Int(now) + Self.lifetime,
                version: version, content: content)
        }
        switch endpoint {
        case .secrets:
            let members = secrets.members.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .string($0.value)) }
            let content = DocumentClaims.Content.secrets(.object(members))
            guard let token = try? issuer.seal(claims(secrets.version, content), to: agree) else { return nil }
            return ["secrets": .string(token)]
        case .configuration:
            var shared = claims(configuration.version, .values(configuration.shared))
            shared.addressee = nil
            let sealed = claims(configuration.version, .values(configuration.sealed))
            guard let token = try? issuer.seal(sealed, to: agree), let signed = try? issuer.sign(shared) else {
                return nil
            }
            return ["public": .string(signed), "sealed": .string(token)]
        case .pins:
            guard let claims = pinClaims(app: app),
                let token = try? issuer.sign(claims.octets, type: "bonafide-pins+jwt")
            else { return nil }
            return ["pins": .string(token)]
        case .challenge, .instances, .renewals: return nil
        }
    }
}

/// What secrets or a part of the configuration say.
public struct DocumentClaims: Sendable {
    /// Whom a sealed document is for, and which request it answers.
    public struct Addressee: Hashable, Sendable {
        public var instance: String
        /// The thumbprint of the instance's key `sign`.
        public var jkt: String
        /// SHA-256 of the request's signature base, in base64url.
        public var question: String

        public init(instance: String, jkt: String, question: String) {
            self.instance = instance
            self.jkt = jkt
            self.question = question
        }
    }

    /// Which kind of document, and what is in it.
    public enum Content: Hashable, Sendable {
        /// An object of names and texts.
        case secrets(JSON)
        /// Any object.
        case values(JSON)
    }

    public var app: String
    /// Nil for what every install reads.
    public var addressee: Addressee?
    /// Seconds since 1970.
    public var issuedAt: Int
    public var expiresAt: Int
    public var version: Int
    public var content: Content

    public init(
        app: String, addressee: Addressee?, issuedAt: Int, expiresAt: Int, version: Int, content: Content
    ) {
        self.app = app
        self.addressee = addressee
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
        self.version = version
        self.content = content
    }

    var type: String {
        switch content {
        case .secrets: "bonafide-secrets+jwt"
        case .values: "bonafide-configuration+jwt"
        }
    }

    var json: JSON {
        var members: [JSON.Member] = [.init("app", .string(app))]
        if let addressee {
            members += [
                .init("inst", .string(addressee.instance)), .init("jkt", .string(addressee.jkt)),
                .init("question", .string(addressee.question)),
            ]
        }
        members += [
            .init("iat", .integer(issuedAt)), .init("exp", .integer(expiresAt)), .init("version", .integer(version)),
        ]
        switch content {
        case .secrets(let secrets): members.append(.init("secrets", secrets))
        case .values(let values): members.append(.init("values", values))
        }
        return .object(members)
    }
}

extension SessionIssuer {
    /// Returns the JWS of a document that every install reads. It is signed as given, whether or not a device would
    /// take it.
    public func sign(_ claims: DocumentClaims) throws -> String { try sign(claims.json.octets, type: claims.type) }

    /// Returns the nested JWT that brings a document to the device whose key `agree` is `recipient`, as given.
    public func seal(_ claims: DocumentClaims, to recipient: PublicKey) throws -> String {
        try seal(sign(claims), to: recipient)
    }
}
