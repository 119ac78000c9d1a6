#if canImport(CLibcrypto)
    import BonafideCore
    import CLibcrypto

    /// The primitives by libcrypto 3. Algorithms are fetched once: a fetch by name costs more than what it is for.
    enum Primitives {
        // Fetched algorithms are counted by reference, never written to again, and never freed.
        nonisolated(unsafe) private static let sha256Algorithm = EVP_MD_fetch(nil, "SHA256", nil)
        nonisolated(unsafe) private static let sha384Algorithm = EVP_MD_fetch(nil, "SHA384", nil)
        nonisolated(unsafe) private static let aes128GCM = EVP_CIPHER_fetch(nil, "AES-128-GCM", nil)
        nonisolated(unsafe) private static let aes256GCM = EVP_CIPHER_fetch(nil, "AES-256-GCM", nil)

        private static func aesGCM(_ key: [UInt8]) -> OpaquePointer? { key.count == 16 ? aes128GCM : aes256GCM }

        static func digest(_ octets: [UInt8], _ hash: Hash) -> [UInt8] {
            switch hash {
            case .sha256: digest(octets, size: 32, sha256Algorithm)
            case .sha384: digest(octets, size: 48, sha384Algorithm)
            }
        }

        private static func digest(_ octets: [UInt8], size: Int, _ algorithm: OpaquePointer?) -> [UInt8] {
            [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                octets.withUnsafeBytes { octets in
                    mustWork(EVP_Digest(octets.baseAddress, octets.count, buffer.baseAddress, nil, algorithm, nil))
                }
                count = size
            }
        }

        /// RFC 2104 over two digests: libcrypto's own calls look the hash up by name each time, and take four times as
        /// long.
        static func hmacSHA256(key: [UInt8], _ octets: [UInt8]) -> [UInt8] {
            let key = key.count > 64 ? digest(key, .sha256) : key
            var pad = [UInt8](repeating: 0x36, count: 64)
            for (index, octet) in key.enumerated() { pad[index] ^= octet }
            let context = EVP_MD_CTX_new()
            defer { EVP_MD_CTX_free(context) }
            start(context)
            mustWork(EVP_DigestUpdate(context, pad, 64))
            mustWork(EVP_DigestUpdate(context, octets, octets.count))
            for index in pad.indices { pad[index] ^= 0x36 ^ 0x5C }
            return [UInt8](unsafeUninitializedCapacity: 32) { tag, count in
                mustWork(EVP_DigestFinal_ex(context, tag.baseAddress, nil))
                start(context)
                mustWork(EVP_DigestUpdate(context, pad, 64))
                mustWork(EVP_DigestUpdate(context, tag.baseAddress, 32))
                mustWork(EVP_DigestFinal_ex(context, tag.baseAddress, nil))
                count = 32
            }
        }

        static func random(_ count: Int) -> [UInt8] {
            [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
                mustWork(RAND_bytes(buffer.baseAddress, Int32(count)))
                initialized = count
            }
        }

        static func makeSHA256() -> any SHA256State { RunningDigest() }

        /// Returns ciphertext and tag; sizes were looked at.
        static func sealAESGCM(
            key: [UInt8], nonce: [UInt8], plaintext: [UInt8], additionalData: [UInt8]
        ) -> (ciphertext: [UInt8], tag: [UInt8]) {
            let context = EVP_CIPHER_CTX_new()
            defer { EVP_CIPHER_CTX_free(context) }
            mustWork(EVP_EncryptInit_ex2(context, aesGCM(key), key, nonce, nil))
            var written: Int32 = 0
            if !additionalData.isEmpty {
                mustWork(EVP_EncryptUpdate(context, nil, &written, additionalData, Int32(additionalData.count)))
            }
            var ciphertext = [UInt8](repeating: 0, count: plaintext.count)
            if !plaintext.isEmpty {
                mustWork(EVP_EncryptUpdate(context, &ciphertext, &written, plaintext, Int32(plaintext.count)))
            }
            var tag = [UInt8](repeating: 0, count: 16)
            mustWork(EVP_EncryptFinal_ex(context, &tag, &written))  // writes nothing in this mode
            mustWork(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, &tag))
            return (ciphertext, tag)
        }

        /// Returns the plaintext, or nil where the tag is another; sizes were looked at.
        static func openAESGCM(
            key: [UInt8], nonce: [UInt8], ciphertext: [UInt8], tag: [UInt8], additionalData: [UInt8]
        ) -> [UInt8]? {
            let context = EVP_CIPHER_CTX_new()
            defer { EVP_CIPHER_CTX_free(context) }
            var tag = tag
            var written: Int32 = 0
            mustWork(EVP_DecryptInit_ex2(context, aesGCM(key), key, nonce, nil))
            if !additionalData.isEmpty {
                mustWork(EVP_DecryptUpdate(context, nil, &written, additionalData, Int32(additionalData.count)))
            }
            var plaintext = [UInt8](repeating: 0, count: ciphertext.count)
            if !ciphertext.isEmpty {
                mustWork(EVP_DecryptUpdate(context, &plaintext, &written, ciphertext, Int32(ciphertext.count)))
            }
            mustWork(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, &tag))
            var rest = [UInt8](repeating: 0, count: 16)
            return EVP_DecryptFinal_ex(context, &rest, &written) == 1 ? plaintext : nil
        }

        fileprivate static func start(_ context: OpaquePointer?) {
            mustWork(EVP_DigestInit_ex(context, sha256Algorithm, nil))
        }
    }

    /// libcrypto fails in these calls where memory is out or its provider is missing: nothing a test could handle.
    func mustWork(_ result: Int32) {
        precondition(result == 1, "libcrypto failed")
    }

    /// A running SHA-256. A copy runs on its own.
    private struct RunningDigest: SHA256State {
        private var context = Context()

        mutating func update(_ octets: [UInt8]) {
            if !isKnownUniquelyReferenced(&context) { context = Context(copying: context) }
            mustWork(EVP_DigestUpdate(context.pointer, octets, octets.count))
        }

        mutating func digest() -> [UInt8] {
            let last = Context(copying: context)  // so that the state can be read, and goes on
            var digest = [UInt8](repeating: 0, count: 32)
            mustWork(EVP_DigestFinal_ex(last.pointer, &digest, nil))
            return digest
        }

        private final class Context {
            let pointer = EVP_MD_CTX_new()

            init() { Primitives.start(pointer) }

            init(copying other: Context) { mustWork(EVP_MD_CTX_copy_ex(pointer, other.pointer)) }

            deinit { EVP_MD_CTX_free(pointer) }
        }
    }
#endif
