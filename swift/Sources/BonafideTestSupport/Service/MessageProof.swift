import BonafideCore
import Foundation

/// The proof that a message to the service carries, read as the service reads it: not by the code that wrote it.
struct MessageProof {
    let created: Double
    let nonce: String
    /// OAuth-Client-Attestation, which a question carries.
    let attestation: String?
    /// What an answer to it names: SHA-256 of the signature base, in base64url.
    let question: String
    private let algorithm: String
    private let keyID: String
    private let signature: [UInt8]
    private let base: [UInt8]

    /// What a message with a body covers, and what a question does.
    private static let post = #"("@method" "@scheme" "@authority" "@path" "@query" "content-type" "content-digest")"#
    private static let get =
        #"("@method" "@scheme" "@authority" "@path" "@query" "oauth-client-attestation" "content-digest")"#

    /// Nil where the fields are missing, in another form, or for another body.
    init?(_ message: ServiceMessage) {
        let fields = Dictionary(message.headers.map { ($0.name, $0.value) }) { first, _ in first }
        let parts = message.url.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        let digest = "sha-256=:\(Base64.encoded(SoftwareCrypto().sha256(message.body))):"
        let isQuestion = message.method == "GET"
        let components = isQuestion ? Self.get : Self.post
        let named = isQuestion ? "oauth-client-attestation" : "content-type"
        guard isQuestion || message.method == "POST", let input = fields["signature-input"],
            input.hasPrefix("bonafide=" + components), parts.count == 4,
            let signature = fields["signature"], signature.hasPrefix("bonafide=:"), signature.hasSuffix(":"),
            let octets = Base64.decoded(signature.dropFirst(10).dropLast()), let value = fields[named],
            fields["content-digest"] == digest
        else { return nil }
        let parameters = input.dropFirst(9 + components.count).split(
            separator: ";", omittingEmptySubsequences: false)
        guard parameters.count == 6, parameters[0].isEmpty, parameters[5] == #"tag="bonafide""#,
            let algorithm = Self.value(parameters[4], "alg=\"", "\""),
            let created = Self.value(parameters[1], "created=", "").flatMap(Int.init),
            let nonce = Self.value(parameters[2], "nonce=\"", "\""), (22...64).contains(nonce.utf8.count),
            let keyID = Self.value(parameters[3], "keyid=\"", "\"")
        else { return nil }
        self.created = Double(created)
        self.nonce = nonce
        self.algorithm = algorithm
        self.keyID = keyID
        self.signature = octets
        attestation = isQuestion ? value : nil
        let lines = [
            "\"@method\": \(message.method)", "\"@scheme\": \(parts[0].dropLast())", "\"@authority\": \(parts[2])",
            "\"@path\": /\(parts[3])", "\"@query\": ?", "\"\(named)\": \(value)", "\"content-digest\": \(digest)",
            "\"@signature-params\": \(input.dropFirst(9))",
        ]
        base = Array(lines.joined(separator: "\n").utf8)
        question = Base64.urlEncoded(SoftwareCrypto().sha256(base))
    }

    /// Whether `key` signed the message and is the one that the proof names.
    func isValid(by key: PublicKey) -> Bool {
        let crypto = SoftwareCrypto()
        return algorithm == "ecdsa-p256-sha256" && keyID == key.thumbprint(crypto)
            && crypto.isValid(signature: signature, of: base, by: key)
    }

    /// Whether it was signed by this session.
    func isValid(by session: SessionClaims) -> Bool {
        let crypto = SoftwareCrypto()
        return algorithm == "hmac-sha256" && keyID == Base64.urlEncoded(session.id)
            && signature == crypto.hmacSHA256(key: KeyDerivation.macKey(session: session.key, crypto: crypto), base)
    }

    private static func value(_ parameter: Substring, _ opening: String, _ closing: String) -> String? {
        guard parameter.hasPrefix(opening), parameter.hasSuffix(closing) else { return nil }
        return String(parameter.dropFirst(opening.count).dropLast(closing.count))
    }
}

/// A date as HTTP has it (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
public func httpDate(_ seconds: Double) -> String {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(secondsFromGMT: 0)
    formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
    return formatter.string(from: Date(timeIntervalSince1970: seconds))
}
