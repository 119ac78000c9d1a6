import BonafideCore
import BonafideTestSupport

/// Sessions that were signed and sealed here, and what is needed to open them.
func sessions() throws -> JSON {
    let issuer = SessionIssuer()
    return .array(
        try [(lifetime: 1, app: "shop"), (lifetime: 300, app: "shop"), (lifetime: 3600, app: "Läden")].map { session in
            let agree = SoftwareAgreementKey()
            let claims = SessionClaims(
                app: session.app, instance: "inst-\(session.lifetime)",
                jkt: SoftwareSigningKey().publicKey.thumbprint(SoftwareCrypto()),
                challenge: Base64.urlEncoded(SoftwareCrypto().random(57)), issuedAt: 1_764_000_000,
                expiresAt: 1_764_000_000 + session.lifetime)
            return [
                "session": .string(try issuer.issue(claims, to: agree.publicKey)),
                "agree_key": .octets(agree.representation), "pinned": [.string(issuer.thumbprint)],
                "app": .string(claims.app), "instance": .string(claims.instance), "jkt": .string(claims.jkt),
                "challenge": .string(claims.challenge),
                "claims": [
                    "sid": .octets(claims.id), "key": .octets(claims.key), "iat": .integer(claims.issuedAt),
                    "exp": .integer(claims.expiresAt),
                ],
            ]
        })
}
