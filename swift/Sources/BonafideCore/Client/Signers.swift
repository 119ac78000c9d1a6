/// Signs with the `sign` key, one request at a time.
struct HardwareSigner: Sendable {
    let keys: Ledger.Keys
    let clock: TrustedClock
    let crypto: any Crypto
    let turnstile: Turnstile

    /// Returns the proof. `created` is stamped when the signature is made, not when the request queued up for it.
    /// Throws `BonafideError.keyUnavailable` and `CancellationError`.
    func prove(_ request: RequestHead, attestation: String?) async throws -> ProofFields {
        try await turnstile.pass {
            let base = HTTPSignature.base(
                of: request, attestation: attestation,
                parameters: .init(
                    created: clock.stamp, nonce: Base64.urlEncoded(crypto.random(HTTPSignature.nonceOctets)),
                    keyID: keys.jkt, algorithm: .hardware))
            do {
                let signature = try keys.sign.signature(of: base.octets)
                return ProofFields(base: base, signature: signature, request: request, attestation: attestation)
            } catch is KeyFailure {
                throw BonafideError.keyUnavailable
            }
        }
    }
}

/// Signs with the session's MAC key: no waiting, no key store.
struct SessionSigner: Sendable {
    let macKey: [UInt8]
    /// `sid` in base64url.
    let keyID: String

    init(_ session: Session, crypto: any Crypto) {
        macKey = KeyDerivation.macKey(session: session.key, crypto: crypto)
        keyID = Base64.urlEncoded(session.id)
    }

    /// Returns the proof. `created` in seconds since 1970.
    func prove(_ request: RequestHead, attestation: String, created: Int, crypto: any Crypto) -> ProofFields {
        let base = HTTPSignature.base(
            of: request, attestation: attestation,
            parameters: .init(
                created: created, nonce: Base64.urlEncoded(crypto.random(HTTPSignature.nonceOctets)), keyID: keyID,
                algorithm: .session))
        let signature = crypto.hmacSHA256(key: macKey, base.octets)
        return ProofFields(base: base, signature: signature, request: request, attestation: attestation)
    }
}

/// What requests are proven with until it ends.
struct Credentials: Sendable {
    let attestation: String
    let session: SessionSigner
    let keys: Ledger.Keys
    /// Whether the device has an App Attest key.
    let canAssert: Bool
    /// `Enrolment.Enrolled.assertedFor`.
    let assertedFor: String
    /// Seconds since 1970.
    let renewAt: Double
    let expiresAt: Double

    /// How long before its end an attestation is not used any more: requests take time to arrive.
    static let margin: Double = 5

    init(_ enrolled: Enrolment.Enrolled, keys: Ledger.Keys, crypto: any Crypto) {
        attestation = enrolled.attestation
        session = SessionSigner(enrolled.session, crypto: crypto)
        self.keys = keys
        canAssert = enrolled.key != nil
        assertedFor = enrolled.assertedFor
        renewAt = enrolled.renewAt
        // A short life leaves a share of it, or no request would ever be sent.
        let margin = min(Self.margin, Double(enrolled.session.expiresAt - enrolled.session.issuedAt) / 10)
        expiresAt = enrolled.expiresAt - margin
    }

    func isUsable(at now: Double) -> Bool { now < expiresAt }
}
