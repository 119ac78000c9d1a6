#if canImport(CLibcrypto)
    import BonafideCore
    import CLibcrypto

    /// A private key on P-256 or P-384, parsed once.
    ///
    /// Unchecked: the `EVP_PKEY` is written in `init` alone, and libcrypto lets any number of threads use one that is
    /// not written to; every operation has a context of its own.
    final class EllipticKey: @unchecked Sendable {
        let curve: Curve
        let scalar: [UInt8]
        /// X9.63: 0x04, x, y.
        let publicPoint: [UInt8]
        private let key: OpaquePointer

        /// A new key.
        convenience init(_ curve: Curve) {
            // An octet string that is no scalar comes about once in 2^32 (P-256), so this ends.
            var scalar = Primitives.random(curve.octets)
            while !Self.isScalar(scalar, of: curve) { scalar = Primitives.random(curve.octets) }
            self.init(known: scalar, curve)
        }

        /// The key of this scalar, big-endian, of the curve's size; nil for any other number of octets, for zero, and
        /// for what is not below the order.
        convenience init?(_ curve: Curve, scalar: [UInt8]) {
            guard Self.isScalar(scalar, of: curve) else { return nil }
            self.init(known: scalar, curve)
        }

        private init(known scalar: [UInt8], _ curve: Curve) {
            self.curve = curve
            self.scalar = scalar
            key = Self.parse(scalar, curve)
            publicPoint = Self.point(of: key, curve)
        }

        deinit { EVP_PKEY_free(key) }

        /// r and s of ECDSA, each of the curve's size.
        func signature(of octets: [UInt8], _ hash: Hash) -> [UInt8] {
            let context = EVP_PKEY_CTX_new_from_pkey(nil, key, nil)
            defer { EVP_PKEY_CTX_free(context) }
            let digest = Primitives.digest(octets, hash)
            var encoded = [UInt8](repeating: 0, count: 128)
            var length = encoded.count
            mustWork(EVP_PKEY_sign_init(context))
            mustWork(EVP_PKEY_sign(context, &encoded, &length, digest, digest.count))
            return raw(encoded, length)
        }

        private func raw(_ encoded: [UInt8], _ length: Int) -> [UInt8] {
            encoded.withUnsafeBufferPointer { encoded in
                var start = encoded.baseAddress
                let parsed = d2i_ECDSA_SIG(nil, &start, length)
                defer { ECDSA_SIG_free(parsed) }
                return octets(of: ECDSA_SIG_get0_r(parsed)) + octets(of: ECDSA_SIG_get0_s(parsed))
            }
        }

        private func octets(of number: OpaquePointer?) -> [UInt8] {
            var octets = [UInt8](repeating: 0, count: curve.octets)
            precondition(BN_bn2binpad(number, &octets, Int32(curve.octets)) == curve.octets, "libcrypto failed")
            return octets
        }

        /// The x coordinate of the common point; nil where `point` (X9.63) is not on this key's curve.
        func sharedSecret(with point: [UInt8]) -> [UInt8]? {
            guard let peer = EVP_PKEY_dup(key) else { return nil }
            defer { EVP_PKEY_free(peer) }
            guard EVP_PKEY_set1_encoded_public_key(peer, point, point.count) == 1 else { return nil }
            let context = EVP_PKEY_CTX_new_from_pkey(nil, key, nil)
            defer { EVP_PKEY_CTX_free(context) }
            var secret = [UInt8](repeating: 0, count: curve.octets)
            var length = secret.count
            mustWork(EVP_PKEY_derive_init(context))
            // The point was read, so it is on the curve, and every such point but zero is of the curve's order.
            mustWork(EVP_PKEY_derive_set_peer_ex(context, peer, 0))
            return EVP_PKEY_derive(context, &secret, &length) == 1 ? secret : nil
        }

        /// Whether `signature` (r and s, 64 octets) is one of `octets` by the key at `point` (X9.63) of P-256.
        static func isValid(signature: [UInt8], of octets: [UInt8], point: [UInt8]) -> Bool {
            guard let key = EVP_PKEY_dup(template.key) else { return false }
            defer { EVP_PKEY_free(key) }
            guard EVP_PKEY_set1_encoded_public_key(key, point, point.count) == 1 else { return false }
            let context = EVP_PKEY_CTX_new_from_pkey(nil, key, nil)
            defer { EVP_PKEY_CTX_free(context) }
            let digest = Primitives.digest(octets, .sha256)
            let encoded = DER.signature(signature)
            mustWork(EVP_PKEY_verify_init(context))
            return EVP_PKEY_verify(context, encoded, encoded.count, digest, digest.count) == 1
        }

        /// What public keys are made from: to change the point of a copy is four times as fast as to name the curve.
        private static let template = EllipticKey(.p256)
    }

    extension EllipticKey {
        private static func isScalar(_ octets: [UInt8], of curve: Curve) -> Bool {
            octets.count == curve.octets && octets.contains { $0 != 0 }
                && octets.lexicographicallyPrecedes(curve.order)
        }

        /// Parses the key as an ECPrivateKey (RFC 5915), from which libcrypto works out the public key.
        private static func parse(_ scalar: [UInt8], _ curve: Curve) -> OpaquePointer {
            let encoded = DER.sequence(
                DER.integer(1), DER.octets(scalar), DER.tagged(0, DER.oid(curve.identifier)))
            let key = encoded.withUnsafeBufferPointer { encoded in
                var start = encoded.baseAddress
                return d2i_PrivateKey(EVP_PKEY_EC, nil, &start, encoded.count)
            }
            guard let key else { preconditionFailure("libcrypto failed") }
            return key
        }

        private static func point(of key: OpaquePointer, _ curve: Curve) -> [UInt8] {
            var point = [UInt8](repeating: 0, count: 1 + 2 * curve.octets)
            var length = 0
            mustWork(
                EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, &point, point.count, &length))
            precondition(length == point.count, "libcrypto failed")
            return point
        }
    }
#endif
