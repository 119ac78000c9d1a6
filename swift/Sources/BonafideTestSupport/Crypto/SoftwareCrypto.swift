public import BonafideCore

/// The primitives in software: libcrypto on Linux, CryptoKit elsewhere.
public struct SoftwareCrypto: Crypto {
    public init() {}

    public func sha256(_ octets: [UInt8]) -> [UInt8] { Primitives.digest(octets, .sha256) }

    public func makeSHA256() -> any SHA256State { Primitives.makeSHA256() }

    public func hmacSHA256(key: [UInt8], _ octets: [UInt8]) -> [UInt8] { Primitives.hmacSHA256(key: key, octets) }

    /// Seals by AES-GCM, as `openAESGCM` opens: a key of 16 or 32 octets, a nonce of 12, a tag of 16. Throws
    /// `CryptoRefused.sizes`.
    public func sealAESGCM(
        key: [UInt8], nonce: [UInt8], plaintext: [UInt8], additionalData: [UInt8]
    ) throws -> (ciphertext: [UInt8], tag: [UInt8]) {
        guard key.count == 16 || key.count == 32, nonce.count == 12 else { throw CryptoRefused.sizes }
        return Primitives.sealAESGCM(key: key, nonce: nonce, plaintext: plaintext, additionalData: additionalData)
    }

    /// Opens AES-GCM by a key of 16 or 32 octets. Throws `CryptoRefused`.
    public func openAESGCM(
        key: [UInt8], nonce: [UInt8], ciphertext: [UInt8], tag: [UInt8], additionalData: [UInt8]
    ) throws -> [UInt8] {
        guard key.count == 16 || key.count == 32, nonce.count == 12, tag.count == 16 else { throw CryptoRefused.sizes }
        let opened = Primitives.openAESGCM(
            key: key, nonce: nonce, ciphertext: ciphertext, tag: tag, additionalData: additionalData)
        guard let opened else { throw CryptoRefused.tag }
        return opened
    }

    public func isValid(signature: [UInt8], of octets: [UInt8], by key: PublicKey) -> Bool {
        signature.count == 64 && EllipticKey.isValid(signature: signature, of: octets, point: key.x963)
    }

    public func random(_ count: Int) -> [UInt8] { Primitives.random(count) }
}

/// Why a sealed text was not made or opened.
public enum CryptoRefused: Error, Hashable, Sendable {
    /// Key, nonce or tag have another size.
    case sizes
    /// Key, nonce, text, tag and additional data do not belong together.
    case tag
}
