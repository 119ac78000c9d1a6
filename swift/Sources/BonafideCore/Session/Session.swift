/// Why a session was not taken. The codes are those of the service's catalogue of reasons.
enum SessionRefused: String, Error {
    case malformed = "session.malformed"
    case headerRefused = "session.header_refused"
    case decryptionFailed = "session.decryption_failed"
    case serviceKeyNotPinned = "session.service_key_not_pinned"
    case signatureInvalid = "session.signature_invalid"
    case claimsMalformed = "session.claims_malformed"
    case appMismatch = "session.app_mismatch"
    case instanceMismatch = "session.instance_mismatch"
    case jktMismatch = "session.jkt_mismatch"
    case challengeMismatch = "session.challenge_mismatch"
    case lifetimeRefused = "session.lifetime_refused"

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

/// A key that the service gave this device in secret (PROTOCOL section 5). Times are whole seconds since 1970.
struct Session: Hashable, Sendable {
    static let type = "bonafide-session+jwt"
    static let maxOctets = 8192
    static let maxLifetime = 3600

    /// 16 octets.
    let id: [UInt8]
    /// 32 octets.
    let key: [UInt8]
    let issuedAt: Int
    let expiresAt: Int
}

/// What this device sent, with which a session must agree.
struct SessionExpectation {
    let app: String
    let instance: String
    let jkt: String
    let challenge: String
    /// The thumbprints of the service keys that the app carries.
    let pins: Set<String>
}

extension Session {
    /// Opens the nested JWT that came with an enrolment or a renewal.
    ///
    /// Proves: a pinned service key signed this session for this app, instance, `sign` key and challenge, and it was
    /// sealed to this device; by the challenge it is fresh, so `issuedAt` is the service's time. Not proven: that
    /// `expiresAt` lies ahead. Throws `SessionRefused`, and `KeyFailure.unavailable`.
    static func open(
        _ token: String, key: any AgreementKey, expecting expected: SessionExpectation, crypto: some Crypto
    ) throws -> Session {
        let claims = try Claims(payload(of: token, key: key, pins: expected.pins, crypto: crypto))
        guard claims.app == expected.app else { throw SessionRefused.appMismatch }
        guard claims.instance == expected.instance else { throw SessionRefused.instanceMismatch }
        guard claims.jkt == expected.jkt else { throw SessionRefused.jktMismatch }
        guard claims.challenge == expected.challenge else { throw SessionRefused.challengeMismatch }
        let session = claims.session
        guard (1...maxLifetime).contains(session.expiresAt - session.issuedAt) else {
            throw SessionRefused.lifetimeRefused
        }
        return session
    }

    private static func payload(
        of token: String, key: any AgreementKey, pins: Set<String>, crypto: some Crypto
    ) throws -> [UInt8] {
        do {
            let sealed = try SealedToken.open(token, key: key, crypto: crypto, maxOctets: maxOctets)
            return try PinnedSignature.verify(
                String(decoding: sealed, as: UTF8.self), type: type, pins: pins, crypto: crypto, maxOctets: maxOctets)
        } catch let refused as TokenRefused {
            throw SessionRefused(refused)
        }
    }

    private struct Claims {
        let app: String
        let instance: String
        let jkt: String
        let challenge: String
        let session: Session

        init(_ payload: [UInt8]) throws {
            guard let body = JSONReader.object(payload, maxOctets: Session.maxOctets),
                body.names == ["app", "inst", "jkt", "challenge", "sid", "key", "iat", "exp"],
                let app = body["app"]?.text, let instance = body["inst"]?.text, let jkt = body["jkt"]?.text,
                let challenge = body["challenge"]?.text,
                let id = body["sid"]?.text.flatMap({ Base64.urlDecoded($0) }), id.count == 16,
                let key = body["key"]?.text.flatMap({ Base64.urlDecoded($0) }), key.count == 32,
                let issuedAt = Self.time(body["iat"]), let expiresAt = Self.time(body["exp"])
            else { throw SessionRefused.claimsMalformed }
            self.app = app
            self.instance = instance
            self.jkt = jkt
            self.challenge = challenge
            session = Session(id: id, key: key, issuedAt: issuedAt, expiresAt: expiresAt)
        }

        private static func time(_ value: JSON?) -> Int? {
            value?.integer.flatMap { (0...253_402_214_400).contains($0) ? $0 : nil }
        }
    }
}
