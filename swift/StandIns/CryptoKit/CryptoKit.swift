// What the SDK uses of CryptoKit, on Linux: the same names, labels and errors as Apple documents them, over libcrypto.
// The code above it is compiled against this here and against the system's there; nothing that ships has this.

internal import CLibcrypto
public import Foundation

/// As CryptoKit's; only the cases that the stand-in throws.
public enum CryptoKitError: Error {
    case incorrectKeySize
    case incorrectParameterSize
    case authenticationFailure
    case underlyingCoreCryptoError(error: Int32)
}

/// A hash value, as octets.
public struct SHA256Digest: Sequence, Hashable, Sendable {
    let octets: [UInt8]

    public func makeIterator() -> Array<UInt8>.Iterator { octets.makeIterator() }
}

public protocol HashFunction {
    associatedtype Digest: Sequence<UInt8>
    init()
    mutating func update(data: some DataProtocol)
    func finalize() -> Digest
}

extension HashFunction {
    public static func hash(data: some DataProtocol) -> Digest {
        var state = Self()
        state.update(data: data)
        return state.finalize()
    }
}

/// A value, like CryptoKit's: a copy goes its own way.
public struct SHA256: HashFunction {
    public typealias Digest = SHA256Digest

    private var context = Context()

    public init() {}

    public mutating func update(data: some DataProtocol) {
        if !isKnownUniquelyReferenced(&context) { context = context.copy() }
        for region in data.regions {
            region.withUnsafeBytes { _ = EVP_DigestUpdate(context.pointer, $0.baseAddress, $0.count) }
        }
    }

    public func finalize() -> SHA256Digest {
        var digest = [UInt8](repeating: 0, count: 32)
        let last = context.copy()
        withExtendedLifetime(last) { _ = EVP_DigestFinal_ex($0.pointer, &digest, nil) }
        return SHA256Digest(octets: digest)
    }

    private final class Context {
        let pointer = EVP_MD_CTX_new()

        init() { EVP_DigestInit_ex(pointer, EVP_sha256(), nil) }

        deinit { EVP_MD_CTX_free(pointer) }

        func copy() -> Context {
            let copy = Context()
            EVP_MD_CTX_copy_ex(copy.pointer, pointer)
            return copy
        }
    }
}

public struct SymmetricKey: Sendable {
    let octets: [UInt8]

    public init(data: some ContiguousBytes) { octets = data.withUnsafeBytes { Array($0) } }
}

/// HMAC; the stand-in has it for SHA-256, whatever the hash function is called.
public enum HMAC<H: HashFunction> {
    public typealias MAC = HashedAuthenticationCode<H>

    public static func authenticationCode(for data: some DataProtocol, using key: SymmetricKey) -> MAC {
        var code = [UInt8](repeating: 0, count: 32)
        let text = Array(data)
        _ = CLibcrypto.HMAC(EVP_sha256(), key.octets, Int32(key.octets.count), text, text.count, &code, nil)
        return MAC(octets: code)
    }
}

public struct HashedAuthenticationCode<H: HashFunction>: Sequence {
    let octets: [UInt8]

    public func makeIterator() -> Array<UInt8>.Iterator { octets.makeIterator() }
}

public enum AES {
    public enum GCM {
        public struct Nonce: Sendable {
            let octets: [UInt8]

            public init(data: some DataProtocol) throws {
                guard data.count >= 12 else { throw CryptoKitError.incorrectParameterSize }
                octets = Array(data)
            }
        }

        public struct SealedBox: Sendable {
            let nonce: Nonce
            let text: [UInt8]
            let mark: [UInt8]

            public init(nonce: Nonce, ciphertext: some DataProtocol, tag: some DataProtocol) throws {
                guard tag.count == 16 else { throw CryptoKitError.incorrectParameterSize }
                self.nonce = nonce
                text = Array(ciphertext)
                mark = Array(tag)
            }
        }

        public static func open(
            _ sealedBox: SealedBox, using key: SymmetricKey, authenticating authenticatedData: some DataProtocol
        ) throws -> Data {
            let cipher: OpaquePointer? =
                switch key.octets.count {
                case 16: EVP_aes_128_gcm()
                case 24: EVP_aes_192_gcm()
                case 32: EVP_aes_256_gcm()
                default: nil
                }
            guard cipher != nil else { throw CryptoKitError.incorrectKeySize }
            let context = EVP_CIPHER_CTX_new()
            defer { EVP_CIPHER_CTX_free(context) }
            let additional = Array(authenticatedData)
            var mark = sealedBox.mark
            var opened = [UInt8](repeating: 0, count: sealedBox.text.count + 16)
            var count: Int32 = 0
            EVP_DecryptInit_ex(context, cipher, nil, nil, nil)
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, Int32(sealedBox.nonce.octets.count), nil)
            EVP_DecryptInit_ex(context, nil, nil, key.octets, sealedBox.nonce.octets)
            EVP_DecryptUpdate(context, nil, &count, additional, Int32(additional.count))
            EVP_DecryptUpdate(context, &opened, &count, sealedBox.text, Int32(sealedBox.text.count))
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(mark.count), &mark)
            var last = [UInt8](repeating: 0, count: 16)
            var rest: Int32 = 0
            guard EVP_DecryptFinal_ex(context, &last, &rest) == 1 else { throw CryptoKitError.authenticationFailure }
            return Data(opened.prefix(sealedBox.text.count))
        }
    }
}
