/// Why a document of the service was not taken. The codes are those of the service's catalogue of reasons.
package enum DocumentRefused: String, Error, CaseIterable {
    case malformed = "document.malformed"
    case headerRefused = "document.header_refused"
    case decryptionFailed = "document.decryption_failed"
    case serviceKeyNotPinned = "document.service_key_not_pinned"
    case signatureInvalid = "document.signature_invalid"
    case claimsMalformed = "document.claims_malformed"
    case appMismatch = "document.app_mismatch"
    case instanceMismatch = "document.instance_mismatch"
    case jktMismatch = "document.jkt_mismatch"
    case questionMismatch = "document.question_mismatch"
    case versionLower = "document.version_lower"
    case expired = "document.expired"

    init(_ refused: TokenRefused) {
        self =
            switch refused {
            case .malformed: .malformed
            case .headerRefused: .headerRefused
            case .decryptionFailed: .decryptionFailed
            case .serviceKeyNotPinned: .serviceKeyNotPinned
            case .signatureInvalid: .signatureInvalid
            }
    }
}

/// Whom a sealed document is for, and what it answers.
struct Addressee: Sendable {
    let app: String
    let instance: String
    /// The thumbprint of the instance's `sign` key.
    let jkt: String
    /// `Document.question` of the request that asked.
    let question: String
}

/// The two forms of a document (ADR 15): signed for every instance of the app, or signed and sealed for one instance
/// and one question.
///
/// Claims are a closed set in a closed form: what is more, less or of another kind is refused.
enum Document {
    /// How long a token is at most, and what is inside of it.
    static let maxOctets = 65536
    /// The claims by which a document is bound to one instance and one question.
    static let addressed: Set<String> = ["inst", "jkt", "question"]

    /// What names one request: SHA-256 of its signature base (RFC 9421 section 2.5), in base64url.
    static func question(_ base: [UInt8], crypto: some Crypto) -> String { Base64.urlEncoded(crypto.sha256(base)) }

    /// Returns the claims of a JWS, exactly those of `names`, proven to be signed by a pinned service key as a `type`.
    ///
    /// Not proven: for whom, and when. Throws `DocumentRefused`.
    static func openSigned(
        _ token: some StringProtocol, type: String, names: Set<String>, pins: Set<String>, crypto: some Crypto
    ) throws -> JSON {
        let payload: [UInt8]
        do {
            payload = try PinnedSignature.verify(token, type: type, pins: pins, crypto: crypto, maxOctets: maxOctets)
        } catch let refused as TokenRefused {
            throw DocumentRefused(refused)
        }
        guard let claims = JSONReader.object(payload, maxOctets: maxOctets), claims.names == names else {
            throw DocumentRefused.claimsMalformed
        }
        return claims
    }

    /// Returns the claims of a nested JWT, as `openSigned`, proven besides to be sealed to the holder of `key`.
    ///
    /// Throws `DocumentRefused`, and `KeyFailure.unavailable`.
    static func openSealed(
        _ token: String, type: String, names: Set<String>, key: any AgreementKey, pins: Set<String>, crypto: some Crypto
    ) throws -> JSON {
        let sealed: [UInt8]
        do {
            sealed = try SealedToken.open(token, key: key, crypto: crypto, maxOctets: maxOctets)
        } catch let refused as TokenRefused {
            throw DocumentRefused(refused)
        }
        return try openSigned(
            String(decoding: sealed, as: UTF8.self), type: type, names: names, pins: pins, crypto: crypto)
    }

    /// Refuses what is for another app. Throws `DocumentRefused`.
    static func requireApp(_ claims: JSON, _ app: String) throws {
        guard try text(claims, "app") == app else { throw DocumentRefused.appMismatch }
    }

    /// Refuses what is for another app, instance, key or question. Throws `DocumentRefused`.
    static func requireAddressee(_ claims: JSON, _ addressee: Addressee) throws {
        try requireApp(claims, addressee.app)
        let (instance, jkt, question) = try (text(claims, "inst"), text(claims, "jkt"), text(claims, "question"))
        guard instance == addressee.instance else { throw DocumentRefused.instanceMismatch }
        guard jkt == addressee.jkt else { throw DocumentRefused.jktMismatch }
        guard question == addressee.question else { throw DocumentRefused.questionMismatch }
    }

    /// Refuses a version below the highest that was seen, 0 before the first. Throws `DocumentRefused`.
    static func requireNotOlder(_ version: Int, than seen: Int) throws {
        guard version >= seen else { throw DocumentRefused.versionLower }
    }

    /// Refuses what has ended at `now`, the trusted clock's seconds since 1970. Throws `DocumentRefused`.
    static func requireCurrent(_ expiresAt: Int, _ now: Double) throws {
        guard Double(expiresAt) > now else { throw DocumentRefused.expired }
    }

    /// Reads a text. Throws `DocumentRefused`.
    static func text(_ claims: JSON, _ name: String) throws -> String {
        guard let text = claims[name]?.text else { throw DocumentRefused.claimsMalformed }
        return text
    }

    /// Reads a version: an integer from 0 on. Throws `DocumentRefused`.
    static func version(_ claims: JSON) throws -> Int {
        guard let version = claims["version"]?.integer, version >= 0 else { throw DocumentRefused.claimsMalformed }
        return version
    }

    /// Reads a time: whole seconds since 1970, of the year 9999 at most. Throws `DocumentRefused`.
    static func time(_ claims: JSON, _ name: String) throws -> Int {
        guard let seconds = claims[name]?.integer, (0...253_402_214_400).contains(seconds) else {
            throw DocumentRefused.claimsMalformed
        }
        return seconds
    }

    /// Reads an object's members. Throws `DocumentRefused`.
    static func members(_ claims: JSON, _ name: String) throws -> [JSON.Member] {
        guard case .object(let members)? = claims[name] else { throw DocumentRefused.claimsMalformed }
        return members
    }
}
