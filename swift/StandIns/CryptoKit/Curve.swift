internal import CLibcrypto

/// One key on P-256, held by libcrypto.
final class CurveKey: @unchecked Sendable {
    // Set once; libcrypto counts references to it by atomic operations and reads it from any thread.
    let pointer: OpaquePointer

    private init(_ pointer: OpaquePointer) { self.pointer = pointer }

    deinit { EVP_PKEY_free(pointer) }

    static func generated() -> CurveKey {
        let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil)
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        EVP_PKEY_keygen_init(context)
        EVP_PKEY_CTX_set_group_name(context, "P-256")
        guard EVP_PKEY_generate(context, &key) == 1, let key else {
            preconditionFailure("libcrypto makes no key on P-256")
        }
        return CurveKey(key)
    }

    /// Nil where the octets are no point of the curve.
    convenience init?(publicKey x963: [UInt8]) {
        guard x963.count == 65, x963.first == 4 else { return nil }
        self.init(publicKey: x963, scalar: nil)
    }

    convenience init?(publicKey x963: [UInt8], scalar: [UInt8]?) {
        let parameters = Self.parameters(publicKey: x963, scalar: scalar)
        defer { OSSL_PARAM_free(parameters) }
        let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil)
        defer { EVP_PKEY_CTX_free(context) }
        // The selections of openssl/core_dispatch.h: parameters (0x84), public (2) and private key (1).
        let selection: Int32 = scalar == nil ? 0x86 : 0x87
        var key: OpaquePointer?
        EVP_PKEY_fromdata_init(context)
        guard EVP_PKEY_fromdata(context, &key, selection, parameters) == 1, let key else { return nil }
        self.init(key)
    }

    /// Names stay pointers in what is returned, values until it is made.
    private static func parameters(publicKey: [UInt8], scalar: [UInt8]?) -> UnsafeMutablePointer<OSSL_PARAM>? {
        let builder = OSSL_PARAM_BLD_new()
        defer { OSSL_PARAM_BLD_free(builder) }
        let number = scalar.flatMap { BN_bin2bn($0, Int32($0.count), nil) }
        defer { BN_clear_free(number) }
        if let number { OSSL_PARAM_BLD_push_BN(builder, lasting("priv"), number) }
        OSSL_PARAM_BLD_push_utf8_string(builder, lasting("group"), lasting("P-256"), 0)
        return publicKey.withUnsafeBytes { point in
            OSSL_PARAM_BLD_push_octet_string(builder, lasting("pub"), point.baseAddress, point.count)
            return OSSL_PARAM_BLD_to_param(builder)
        }
    }

    /// A literal that lives as long as the process.
    private static func lasting(_ text: StaticString) -> UnsafePointer<CChar> {
        UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
    }

    /// 0x04, x, y.
    var x963: [UInt8] {
        var octets: UnsafeMutablePointer<UInt8>?
        let count = EVP_PKEY_get1_encoded_public_key(pointer, &octets)
        defer { CRYPTO_free(octets, nil, 0) }
        return Array(UnsafeBufferPointer(start: octets, count: count))
    }

    /// The private number, 32 octets.
    var scalar: [UInt8] {
        var number: OpaquePointer?
        EVP_PKEY_get_bn_param(pointer, "priv", &number)
        defer { BN_clear_free(number) }
        var octets = [UInt8](repeating: 0, count: 32)
        BN_bn2binpad(number, &octets, 32)
        return octets
    }

    /// r and s of ECDSA with SHA-256.
    func signature(of octets: [UInt8]) -> [UInt8] {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        var encoded = [UInt8](repeating: 0, count: 128)
        var count = encoded.count
        EVP_DigestSignInit(context, nil, EVP_sha256(), nil, pointer)
        EVP_DigestSign(context, &encoded, &count, octets, octets.count)
        return encoded.withUnsafeBufferPointer { buffer in
            var start = buffer.baseAddress
            let signature = d2i_ECDSA_SIG(nil, &start, count)
            defer { ECDSA_SIG_free(signature) }
            var raw = [UInt8](repeating: 0, count: 64)
            raw.withUnsafeMutableBufferPointer { raw in
                BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw.baseAddress, 32)
                BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw.baseAddress.map { $0 + 32 }, 32)
            }
            return raw
        }
    }

    func isValid(signature raw: [UInt8], of octets: [UInt8]) -> Bool {
        let signature = ECDSA_SIG_new()
        defer { ECDSA_SIG_free(signature) }
        let r = Array(raw.prefix(32))
        let s = Array(raw.suffix(32))
        ECDSA_SIG_set0(signature, BN_bin2bn(r, 32, nil), BN_bin2bn(s, 32, nil))
        var encoded: UnsafeMutablePointer<UInt8>?
        let count = i2d_ECDSA_SIG(signature, &encoded)
        defer { CRYPTO_free(encoded, nil, 0) }
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, pointer)
        return EVP_DigestVerify(context, encoded, Int(count), octets, octets.count) == 1
    }

    /// The x coordinate of the common point.
    func sharedSecret(with other: CurveKey) -> [UInt8]? {
        let context = EVP_PKEY_CTX_new(pointer, nil)
        defer { EVP_PKEY_CTX_free(context) }
        var secret = [UInt8](repeating: 0, count: 32)
        var count = secret.count
        guard EVP_PKEY_derive_init(context) == 1, EVP_PKEY_derive_set_peer(context, other.pointer) == 1,
            EVP_PKEY_derive(context, &secret, &count) == 1
        else { return nil }
        return secret
    }
}
