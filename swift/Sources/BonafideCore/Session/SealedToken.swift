/// A compact JWE with ECDH-ES in direct key agreement and A256GCM, and nothing else of RFC 7516.
enum SealedToken {
    /// Returns what was sealed to the holder of `key`. Proves nothing of who sealed it.
    ///
    /// The header has exactly `alg`, `enc`, `epk` and `cty` `JWT`: no `zip`, `crit`, `p2c`, `apu`, `apv`. What
    /// depends on the private key has one refusal. Throws `TokenRefused`, and `KeyFailure.unavailable`.
    static func open(_ token: String, key: any AgreementKey, crypto: some Crypto, maxOctets: Int) throws -> [UInt8] {
        let parts = token.split(separator: ".", maxSplits: 5, omittingEmptySubsequences: false)
        guard token.utf8.count <= maxOctets, parts.count == 5, parts[1].isEmpty,
            let header = Base64.urlDecoded(parts[0]).flatMap({ JSONReader.object($0, maxOctets: maxOctets) })
        else { throw TokenRefused.malformed }
        let ephemeral = try ephemeralKey(header)
        guard let nonce = Base64.urlDecoded(parts[2]), nonce.count == 12, let ciphertext = Base64.urlDecoded(parts[3]),
            let tag = Base64.urlDecoded(parts[4]), tag.count == 16
        else { throw TokenRefused.malformed }
        let secret = try agree(key, with: ephemeral)
        let contentKey = KeyDerivation.concatKDF(secret: secret, algorithm: "A256GCM", crypto: crypto)
        do {
            return try crypto.openAESGCM(
                key: contentKey, nonce: nonce, ciphertext: ciphertext, tag: tag, additionalData: Array(parts[0].utf8))
        } catch {
            throw TokenRefused.decryptionFailed
        }
    }

    private static func ephemeralKey(_ header: JSON) throws -> PublicKey {
        guard header.names == ["alg", "enc", "epk", "cty"], header["alg"] == "ECDH-ES", header["enc"] == "A256GCM",
            header["cty"] == "JWT", let jwk = header["epk"], jwk.names != nil
        else { throw TokenRefused.headerRefused }
        guard let key = PublicKey(jwk: jwk) else { throw TokenRefused.malformed }
        return key
    }

    private static func agree(_ key: any AgreementKey, with ephemeral: PublicKey) throws -> [UInt8] {
        do {
            return try key.sharedSecret(with: ephemeral)
        } catch KeyFailure.unavailable {
            throw KeyFailure.unavailable
        } catch {
            throw TokenRefused.malformed  // a point that is not on the curve
        }
    }
}
