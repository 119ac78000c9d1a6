public import BonafideCore
import CryptoKit
import Foundation

/// The primitives, by CryptoKit.
public struct PlatformCrypto: Crypto {
    public init() {}

    public func sha256(_ octets: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: octets)) }

    public func makeSHA256() -> any SHA256State { Running() }

    public func hmacSHA256(key: [UInt8], _ octets: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: octets, using: SymmetricKey(data: key)))
    }

    public func openAESGCM(
        key: [UInt8], nonce: [UInt8], ciphertext: [UInt8], tag: [UInt8], additionalData: [UInt8]
    ) throws -> [UInt8] {
        // CryptoKit would take the middle size of AES too.
        guard key.count == 16 || key.count == 32 else { throw CryptoKitError.incorrectKeySize }
        let box = try AES.GCM.SealedBox(nonce: AES.GCM.Nonce(data: nonce), ciphertext: ciphertext, tag: tag)
        return [UInt8](try AES.GCM.open(box, using: SymmetricKey(data: key), authenticating: additionalData))
    }

    public func isValid(signature: [UInt8], of octets: [UInt8], by key: PublicKey) -> Bool {
        guard let key = try? P256.Signing.PublicKey(x963Representation: key.x963),
            let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature)
        else { return false }
        return key.isValidSignature(signature, for: octets)
    }

    /// The system's generator, which is one for keys on Apple's platforms and on Linux.
    public func random(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    private struct Running: SHA256State {
        private var state = SHA256()

        mutating func update(_ octets: [UInt8]) { state.update(data: octets) }

        mutating func digest() -> [UInt8] { Array(state.finalize()) }
    }
}
