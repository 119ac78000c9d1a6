import BonafideTestSupport
import Testing

@testable import BonafideCore

/// What the service has for apps after they enrolled: each document is opened as Python's side opens it.
@Suite struct DocumentVectorTests {
    private let crypto = SoftwareCrypto()

    @Test(arguments: VectorFile.all("document"))
    func everyDocumentGetsItsVerdict(_ vector: VectorFile) throws {
        do {
            let claims = try opened(vector)
            #expect(vector.isAccepted, "\(vector.expect)")
            #expect(claims.octets == vector.claims?.octets)
        } catch let refused as DocumentRefused {
            #expect(refused.rawValue == vector.expect)
        }
    }

    /// The claims of a document, in the order that the vectors have.
    private func opened(_ vector: VectorFile) throws -> JSON {
        if try vector.text("kind") == "question" {
            return ["question": .string(Document.question(try vector.octets("base"), crypto: crypto))]
        }
        let (token, app, now) = (try vector.text("token"), try vector.text("app"), try vector.now())
        let pins = Set(try #require(vector.input["pinned"]?.elements).compactMap(\.text))
        switch try vector.text("kind") {
        case "pins":
            let seen = try #require(vector.input["seen"]?.integer)
            return try PinDocument.open(token, pins: pins, app: app, seen: seen, now: now, crypto: crypto)
                .claims(inTheOrderOf: vector)
        case "public_configuration":
            let seen = try #require(vector.input["seen"]?.integer)
            let values = try RemoteConfiguration.openShared(
                token, pins: pins, app: app, seen: seen, now: now, crypto: crypto)
            return values.claims(vector)
        case "sealed_configuration":
            let values = try RemoteConfiguration.openSealed(
                token, key: try key(vector), pins: pins, addressee: try addressee(vector), now: now, crypto: crypto)
            return values.claims(vector)
        default:
            let secrets = try AppSecrets.open(
                token, key: try key(vector), pins: pins, addressee: try addressee(vector), now: now, crypto: crypto)
            return secrets.claims(inTheOrderOf: vector)
        }
    }

    private func key(_ vector: VectorFile) throws -> SoftwareAgreementKey {
        try #require(SoftwareAgreementKey(scalar: vector.scalar("agree_key")))
    }

    private func addressee(_ vector: VectorFile) throws -> Addressee {
        Addressee(
            app: try vector.text("app"), instance: try vector.text("instance"), jkt: try vector.text("jkt"),
            question: try vector.text("question"))
    }
}

extension VectorFile {
    /// `iat` is proven to be a time and told to nobody.
    fileprivate var issuedAt: JSON { claims?["iat"] ?? .null }
}

extension AppSecrets {
    fileprivate func claims(inTheOrderOf vector: VectorFile) -> JSON {
        guard case .object(let members)? = vector.claims?["secrets"], Set(members.map(\.name)) == Set(names) else {
            return .null
        }
        let found = members.map { JSON.Member($0.name, self[$0.name].map(JSON.string) ?? .null) }
        return [
            "version": .integer(version), "iat": vector.issuedAt, "exp": .integer(expiresAt),
            "secrets": .object(found),
        ]
    }
}

extension RemoteConfiguration.Values {
    fileprivate func claims(_ vector: VectorFile) -> JSON {
        ["version": .integer(version), "iat": vector.issuedAt, "exp": .integer(expiresAt), "values": json]
    }
}

extension PinDocument {
    fileprivate func claims(inTheOrderOf vector: VectorFile) -> JSON {
        guard case .object(let hosts)? = vector.claims?["pins"], Set(hosts.map(\.name)) == Set(digests.keys) else {
            return .null
        }
        let found = hosts.map { host in
            let pins = host.value.elements ?? []
            let isSame = Set(pins.compactMap { $0.text.flatMap { Base64.decoded($0) } }) == digests[host.name]
            return JSON.Member(host.name, isSame ? .array(pins) : .null)
        }
        return ["version": .integer(version), "exp": .integer(expiresAt), "pins": .object(found)]
    }
}
