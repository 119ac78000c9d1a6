public import BonafideCore

/// A request with its proof as it came to an API, for which an answer is to be sealed.
///
/// It is read as it says of itself: neither is its signature verified nor its digest.
public struct SignedRequest: Sendable {
    /// `sid` of the client attestation, in base64url.
    public let session: String
    /// What was signed (RFC 9421 section 2.5).
    let base: [UInt8]

    /// `url` is absolute and as it was sent, `headers` the fields that came, their names in any case. Nil where there is
    /// no proof in them.
    public init?(method: String, url: String, headers: [String: String]) {
        let fields = Dictionary(headers.map { ($0.key.lowercased(), $0.value) }) { first, _ in first }
        let parts = url.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        guard let input = fields["signature-input"], input.hasPrefix("bonafide=("), parts.count == 4,
            let end = input.firstIndex(of: ")"), let session = Self.session(fields["oauth-client-attestation"])
        else { return nil }
        let target = "/\(parts[3])".split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let derived = [
            "@method": method, "@scheme": String(parts[0].dropLast()), "@authority": String(parts[2]),
            "@path": String(target[0]), "@query": "?" + (target.count == 2 ? String(target[1]) : ""),
        ]
        var lines: [String] = []
        for quoted in input[..<end].dropFirst("bonafide=(".utf8.count).split(separator: " ") {
            let name = String(quoted.dropFirst().dropLast())
            guard let value = derived[name] ?? fields[name] else { return nil }
            lines.append("\(quoted): \(value)")
        }
        lines.append("\"@signature-params\": \(input.dropFirst("bonafide=".utf8.count))")
        self.session = session
        base = Array(lines.joined(separator: "\n").utf8)
    }

    private static func session(_ attestation: String?) -> String? {
        let parts = attestation?.split(separator: ".", omittingEmptySubsequences: false) ?? []
        guard parts.count == 3, let claims = Base64.urlDecoded(parts[1]).flatMap({ JSON(octets: $0) }) else {
            return nil
        }
        return claims["bonafide"]?["sid"]?.text
    }
}

extension SessionClaims {
    /// Seals an answer to `request` under this session, as an API does on a route with `seal`.
    ///
    /// Returns what goes over the wire. `fields` go inside, in this order, their names in lower case.
    public func seal(
        _ body: [UInt8], status: Int = 200, fields: [(name: String, value: String)] = [],
        answering request: SignedRequest
    ) -> ServiceAnswer {
        let sealed = AnswerSealer.seal(body, answerKey(for: request), status: status, fields: fields)
        let outside = [
            "content-type": SealedForm.contentType, "cache-control": "private, no-store, no-transform",
            "content-length": String(sealed.count),
        ]
        return ServiceAnswer(head: AnswerHead(status: status, fields: outside), body: sealed)
    }

    package func answerKey(for request: SignedRequest) -> AnswerKey {
        AnswerKey(session: id, sessionKey: key, base: request.base, crypto: SoftwareCrypto())
    }
}

extension SimulatedService {
    /// The session that a request was made with, where this service gave it; nil otherwise.
    public func session(of request: SignedRequest) -> SessionClaims? { session(named: request.session) }
}
