import BonafideCore
import BonafideTestSupport

/// Keys that were derived here, and from what.
func kdf() -> JSON {
    let crypto = SoftwareCrypto()
    let derivations: [JSON] = (0..<8).flatMap { round -> [JSON] in
        let secret = crypto.random(32)
        let salt = crypto.random(round * 5)
        let info = crypto.random(round * 23)
        return [
            [
                "kind": "concat", "secret": .octets(secret), "algorithm": "A256GCM",
                "key": .octets(KeyDerivation.concatKDF(secret: secret, algorithm: "A256GCM", crypto: crypto)),
            ],
            [
                "kind": "hkdf", "secret": .octets(secret), "salt": .octets(salt), "info": .octets(info),
                "key": .octets(KeyDerivation.hkdf(secret, salt: salt, info: info, crypto: crypto)),
            ],
            [
                "kind": "mac", "secret": .octets(secret),
                "key": .octets(KeyDerivation.macKey(session: secret, crypto: crypto)),
            ],
        ]
    }
    return .array(derivations)
}
