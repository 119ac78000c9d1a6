#if !canImport(CLibcrypto)
    import BonafideCore
    import CryptoKit
    import Foundation

    /// The primitives by CryptoKit.
    enum Primitives {
        static func digest(_ octets: [UInt8], _ hash: Hash) -> [UInt8] {
            switch hash {
            case .sha256: Array(SHA256.hash(data: octets))
            case .sha384: Array(SHA384.hash(data: octets))
            }
        }

        static func hmacSHA256(key: [UInt8], _ octets: [UInt8]) -> [UInt8] {
            Array(HMAC<SHA256>.authenticationCode(for: octets, using: SymmetricKey(data: key)))
        }

        static func random(_ count: Int) -> [UInt8] {
            var generator = SystemRandomNumberGenerator()
            return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        }

        static func makeSHA256() -> any SHA256State { RunningDigest() }

        /// Returns ciphertext and tag; sizes were looked at.
        static func sealAESGCM(
            key: [UInt8], nonce: [UInt8], plaintext: [UInt8], additionalData: [UInt8]
        ) -> (ciphertext: [UInt8], tag: [UInt8]) {
            do {
                let box = try AES.GCM.seal(
                    plaintext, using: SymmetricKey(data: key), nonce: AES.GCM.Nonce(data: nonce),
                    authenticating: additionalData)
                return (Array(box.ciphertext), Array(box.tag))
            } catch {
                preconditionFailure("CryptoKit failed: \(error)")  // it refuses sizes alone
            }
        }

        /// Returns the plaintext, or nil where the tag is another; sizes were looked at.
        static func openAESGCM(
            key: [UInt8], nonce: [UInt8], ciphertext: [UInt8], tag: [UInt8], additionalData: [UInt8]
        ) -> [UInt8]? {
            guard let nonce = try? AES.GCM.Nonce(data: nonce),
                let box = try? AES.GCM.SealedBox(nonce: nonce, ciphertext: ciphertext, tag: tag),
                let text = try? AES.GCM.open(box, using: SymmetricKey(data: key), authenticating: additionalData)
            else { return nil }
            return Array(text)
        }
    }

    /// A running SHA-256. A copy runs on its own.
    private struct RunningDigest: SHA256State {
        private var hash = SHA256()

        mutating func update(_ octets: [UInt8]) { hash.update(data: octets) }

        mutating func digest() -> [UInt8] { Array(hash.finalize()) }
    }

    /// A private key on P-256 or P-384, parsed once.
    ///
    /// Unchecked: CryptoKit's keys are values that are never written to, and not marked `Sendable` on all systems.
    final class EllipticKey: @unchecked Sendable {
        private enum Key {
            case p256(P256.Signing.PrivateKey)
            case p384(P384.Signing.PrivateKey)
        }

        let curve: Curve
        let scalar: [UInt8]
        /// X9.63: 0x04, x, y.
        let publicPoint: [UInt8]
        private let key: Key

        /// A new key.
        convenience init(_ curve: Curve) {
            switch curve {
            case .p256: self.init(P256.Signing.PrivateKey())
            case .p384: self.init(P384.Signing.PrivateKey())
            }
        }

        /// The key of this scalar, big-endian, of the curve's size; nil for any other number of octets, for zero, and
        /// for what is not below the order.
        convenience init?(_ curve: Curve, scalar: [UInt8]) {
            switch curve {
            case .p256:
                guard let key = try? P256.Signing.PrivateKey(rawRepresentation: scalar) else { return nil }
                self.init(key)
            case .p384:
                guard let key = try? P384.Signing.PrivateKey(rawRepresentation: scalar) else { return nil }
                self.init(key)
            }
        }

        private init(_ key: P256.Signing.PrivateKey) {
            self.key = .p256(key)
            curve = .p256
            scalar = Array(key.rawRepresentation)
            publicPoint = Array(key.publicKey.x963Representation)
        }

        private init(_ key: P384.Signing.PrivateKey) {
            self.key = .p384(key)
            curve = .p384
            scalar = Array(key.rawRepresentation)
            publicPoint = Array(key.publicKey.x963Representation)
        }

        /// r and s of ECDSA, each of the curve's size.
        func signature(of octets: [UInt8], _ hash: Hash) -> [UInt8] {
            switch hash {
            case .sha256: signature(for: SHA256.hash(data: octets))
            case .sha384: signature(for: SHA384.hash(data: octets))
            }
        }

        private func signature(for digest: some Digest) -> [UInt8] {
            do {
                switch key {
                case .p256(let key): return Array(try key.signature(for: digest).rawRepresentation)
                case .p384(let key): return Array(try key.signature(for: digest).rawRepresentation)
                }
            } catch {
                preconditionFailure("CryptoKit failed: \(error)")  // a key in software signs whatever it is given
            }
        }

        /// The x coordinate of the common point; nil where `point` (X9.63) is not on P-256, or this key is not.
        func sharedSecret(with point: [UInt8]) -> [UInt8]? {
            guard curve == .p256, let key = try? P256.KeyAgreement.PrivateKey(rawRepresentation: scalar),
                let peer = try? P256.KeyAgreement.PublicKey(x963Representation: point),
                let secret = try? key.sharedSecretFromKeyAgreement(with: peer)
            else { return nil }
            return secret.withUnsafeBytes(Array.init)
        }

        /// Whether `signature` (r and s, 64 octets) is one of `octets` by the key at `point` (X9.63) of P-256.
        static func isValid(signature: [UInt8], of octets: [UInt8], point: [UInt8]) -> Bool {
            guard let key = try? P256.Signing.PublicKey(x963Representation: point),
                let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature)
            else { return false }
            return key.isValidSignature(signature, for: octets)
        }
    }
#endif
