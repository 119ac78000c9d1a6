import BonafideTestSupport
import Foundation
import Testing

@testable import BonafideCore

/// What an app makes of a request, compared with every request that Python's gate judges.
///
/// Where the gate accepts, the app writes the very same octets. Where it refuses the proof, what the app would write
/// for the request in hand differs, or the signature does not hold. Where it refuses by what only a gate knows (time,
/// routes, bans, a replay store), the app's octets are the same again: the wire was right.
@Suite struct RequestVectorTests {
    private static let areas = ["client_attestation", "proof", "request", "route"]

    @Test(arguments: areas.flatMap(VectorFile.all))
    func everyRequestIsWrittenAsItsVerdictSays(_ vector: VectorFile) throws {
        let request = try WireRequest(vector)
        switch try Expectation(vector) {
        case .sameOctets:
            try request.requireSameOctets()
            if vector.isAccepted, let base = vector.claims?["base"] {
                #expect(.string(Base64.encoded(try request.base().octets)) == base)
            }
        case .otherOctets: #expect(!(try request.isWrittenTheSame()))
        case .notExpressible: #expect(throws: (any Error).self) { try request.head() }
        case .noProof: #expect(request["signature"] == nil || request["signature-input"] == nil || request.lacksDigest)
        case .refusedByTheAdapter: #expect(Self.adapterRefuses.contains { request[$0] != nil })
        case .anotherOrigin: #expect(request.host != "api.example.com")
        case .attestationIsNoToken: #expect(request.attestationIsNoToken)
        case .sameInput: #expect(try request.base().signatureInput == request["signature-input"])
        }
    }

    /// Fields that the URLSession adapter refuses to sign beside; `BonafideTests` shows it.
    static let adapterRefuses = [
        "content-encoding", "x-http-method-override", "x-http-method", "x-method-override", "upgrade", "trailer",
    ]
}

private enum Expectation {
    case sameOctets
    case otherOctets
    case notExpressible
    case noProof
    case refusedByTheAdapter
    case anotherOrigin
    case attestationIsNoToken
    /// The attestation was edited after the proof was made, so that only the fields beside it are compared.
    case sameInput

    init(_ vector: VectorFile) throws {
        if vector.isAccepted {
            self = vector.claims?["unproven"] == .bool(true) ? .noProof : .sameOctets
        } else if let found = Self.byReason[vector.expect] {
            self = found
        } else {
            self = try #require(Self.byArea[String(vector.expect.prefix { $0 != "." })], "\(vector.expect)")
        }
    }

    private static let byReason: [String: Expectation] = [
        "proof.components_mismatch": .otherOctets, "proof.signature_invalid": .otherOctets,
        "proof.input_malformed": .otherOctets, "proof.signature_malformed": .otherOctets,
        "proof.digest_malformed": .otherOctets, "proof.digest_mismatch": .otherOctets, "proof.missing": .noProof,
        "proof.key_mismatch": .otherOctets,
        "request.host_unknown": .anotherOrigin, "request.content_coding": .refusedByTheAdapter,
        "request.method_override": .refusedByTheAdapter, "request.upgrade": .refusedByTheAdapter,
        "request.trailers": .refusedByTheAdapter, "client_attestation.missing": .otherOctets,
        "client_attestation.malformed": .attestationIsNoToken, "client_attestation.header_refused": .sameInput,
        "client_attestation.not_for_gates": .sameInput, "client_attestation.signature_invalid": .sameInput,
        "route.legacy_ended": .noProof,
    ]

    /// Judged by what the app does not know: the proof itself is right.
    private static let byArea: [String: Expectation] = [
        "proof": .sameOctets, "store": .sameOctets, "route": .sameOctets, "client_attestation": .sameOctets,
        "request": .notExpressible,
    ]
}

/// A request as it stands in a vector.
private struct WireRequest {
    let method: String
    let host: String?
    let target: String
    let headers: JSON
    let body: [UInt8]
    private let gate: JSON

    init(_ vector: VectorFile) throws {
        let request = try #require(vector.input["request"])
        method = try #require(request["method"]?.text)
        host = request["host"]?.text
        target = try #require(request["target"]?.text)
        headers = try #require(request["headers"])
        body = try #require(request["body"]?.text.flatMap { Base64.decoded($0) })
        gate = try #require(vector.input["gate"])
    }

    subscript(name: String) -> String? { headers[name]?.text }

    var attestation: String? { self["oauth-client-attestation"] }
    var attestationIsNoToken: Bool {
        guard let attestation else { return true }
        let parts = attestation.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count != 3 || parts.contains { Base64.urlDecoded($0) == nil }
    }
    var lacksDigest: Bool { self["content-digest"] == nil }

    func head() throws -> RequestHead {
        guard let target = Target(canonical: target) else { throw BonafideError.targetNotCanonical(target) }
        let digest = ContentDigest(of: body, crypto: SoftwareCrypto())
        return try RequestHead(
            method: method, scheme: "https", authority: "api.example.com", target: target,
            authorization: self["authorization"], cookie: self["cookie"], contentType: self["content-type"],
            contentDigest: digest)
    }

    /// The base that the app writes for this request, with the parameters that stand in it.
    func base() throws -> HTTPSignature.Base {
        let input = try #require(self["signature-input"])
        func parameter(_ name: String, _ closing: Character) -> String {
            guard let start = input.range(of: ";\(name)=") else { return "" }
            let rest = input[start.upperBound...].drop { $0 == "\"" }
            return String(rest.prefix { $0 != closing && $0 != ";" && $0 != "\"" })
        }
        let algorithm = HTTPSignature.Algorithm(rawValue: parameter("alg", "\"")) ?? .session
        return HTTPSignature.base(
            of: try head(), attestation: attestation,
            parameters: .init(
                created: Int(parameter("created", ";")) ?? 0, nonce: parameter("nonce", "\""),
                keyID: parameter("keyid", "\""), algorithm: algorithm))
    }

    func requireSameOctets() throws {
        let base = try base()
        #expect(base.signatureInput == self["signature-input"])
        #expect(try head().contentDigest.field == self["content-digest"])
        #expect(try holds(base))
    }

    /// Whether the app would write each field as it stands, and the signature is one of that.
    func isWrittenTheSame() throws -> Bool {
        guard let base = try? base(), base.signatureInput == self["signature-input"],
            try head().contentDigest.field == self["content-digest"]
        else { return false }
        return try holds(base)
    }

    private func holds(_ base: HTTPSignature.Base) throws -> Bool {
        let crypto = SoftwareCrypto()
        guard let claims = attestationClaims(), let field = self["signature"], field.hasPrefix("bonafide=:"),
            field.hasSuffix(":"), let signature = Base64.decoded(field.dropFirst(10).dropLast()),
            let jwk = claims["cnf"]?["jwk"], let key = PublicKey(jwk: jwk)
        else { return false }
        let jkt = key.thumbprint(crypto)
        if base.signatureInput.contains("hmac-sha256") {
            guard let mac = try macKey(claims, jkt), let sid = claims["bonafide"]?["sid"]?.text,
                base.signatureInput.contains("keyid=\"\(sid)\"")
            else { return false }
            return crypto.hmacSHA256(key: mac, base.octets) == signature
        }
        return base.signatureInput.contains("keyid=\"\(jkt)\"")
            && crypto.isValid(signature: signature, of: base.octets, by: key)
    }

    private func attestationClaims() -> JSON? {
        let parts = attestation?.split(separator: ".", omittingEmptySubsequences: false) ?? []
        guard parts.count == 3 else { return nil }
        return Base64.urlDecoded(parts[1]).flatMap { JSONReader.object($0) }
    }

    /// Derived by the gate key `20261101-a`, which one vector has erased from its gate.
    private func macKey(_ claims: JSON, _ jkt: String) throws -> [UInt8]? {
        guard let sid = claims["bonafide"]?["sid"]?.text.flatMap({ Base64.urlDecoded($0) }),
            let app = claims["sub"]?.text, let expires = claims["exp"]?.integer
        else { return nil }
        let gateKey = [UInt8](0..<32)
        let session = sessionKey(gateKey: gateKey, sid: sid, app: app, jkt: jkt, expires: expires)
        return KeyDerivation.macKey(session: session, crypto: SoftwareCrypto())
    }
}
