import CryptoKit
import Foundation
import Security

extension PinBoard {
    /// Whether the system trusts this server, and one certificate of its chain has a pinned key. Where the host has
    /// no pins the system is left to judge alone, later.
    func admits(_ trust: SecTrust, of host: String) -> Bool {
        guard concerns(host) else { return true }
        guard SecTrustEvaluateWithError(trust, nil),
            let chain = SecTrustCopyCertificateChain(trust) as? [SecCertificate]
        else { return false }
        return admits(chain.compactMap(Self.keyDigest), of: host)
    }

    /// SHA-256 of a certificate's SubjectPublicKeyInfo; nil for a kind of key that no server shows.
    static func keyDigest(_ certificate: SecCertificate) -> [UInt8]? {
        guard let key = SecCertificateCopyKey(certificate) else { return nil }
        let found: CFTypeRef? = SecKeyCopyAttributes(key)
        guard let attributes = found as? [String: Any], let type = attributes[kSecAttrKeyType as String] as? String,
            let bits = attributes[kSecAttrKeySizeInBits as String] as? Int,
            let octets = SecKeyCopyExternalRepresentation(key, nil) as Data?
        else { return nil }
        let rsa = kSecAttrKeyTypeRSA as String
        let curve = kSecAttrKeyTypeECSECPrimeRandom as String
        let kind: KeyKind
        switch (type, bits) {
        case (rsa, _): kind = .rsa
        case (curve, 256): kind = .p256
        case (curve, 384): kind = .p384
        default: return nil
        }
        return Array(SHA256.hash(data: kind.subjectPublicKeyInfo([UInt8](octets))))
    }
}

/// The kinds of key that servers show.
enum KeyKind {
    case rsa, p256, p384

    /// DER of the SubjectPublicKeyInfo (RFC 5280 section 4.1) around what the system exports of a key: the PKCS #1
    /// structure of RSA, the X9.63 point of a curve.
    func subjectPublicKeyInfo(_ key: [UInt8]) -> [UInt8] {
        let algorithm = Self.element(0x30, identifier)
        return Self.element(0x30, algorithm + Self.element(0x03, [0] + key))
    }

    /// The content of AlgorithmIdentifier (RFC 3279 section 2.3.1, RFC 5480 section 2.1.1).
    private var identifier: [UInt8] {
        let ecPublicKey: [UInt8] = [0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01]
        return switch self {
        case .rsa: [0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00]
        case .p256: ecPublicKey + [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]
        case .p384: ecPublicKey + [0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22]
        }
    }

    private static func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        let count = content.count
        if count < 0x80 { return [tag, UInt8(count)] + content }
        if count < 0x100 { return [tag, 0x81, UInt8(count)] + content }
        return [tag, 0x82, UInt8(count >> 8), UInt8(count & 0xFF)] + content
    }
}
