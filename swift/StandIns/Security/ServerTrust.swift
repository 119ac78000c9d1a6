// The names are Apple's, which callers must find here.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import Foundation

// A chain that a test writes down takes the place of certificates: nothing is parsed here, and nothing judged.

public final class SecCertificate: Sendable {
    package let key: SecKey?

    package init(key: SecKey?) { self.key = key }
}

public final class SecKey: Sendable {
    package let external: Data
    package let type: String
    package let bits: Int

    package init(external: Data, type: String, bits: Int) {
        self.external = external
        self.type = type
        self.bits = bits
    }
}

public final class SecTrust: Sendable {
    package let chain: [SecCertificate]
    package let isTrusted: Bool

    package init(chain: [SecCertificate], isTrusted: Bool) {
        self.chain = chain
        self.isTrusted = isTrusted
    }
}

public let kSecAttrKeyType: CFString = "type"
public let kSecAttrKeySizeInBits: CFString = "bsiz"
public let kSecAttrKeyTypeRSA: CFString = "42"
public let kSecAttrKeyTypeECSECPrimeRandom: CFString = "73"

public func SecTrustEvaluateWithError(_ trust: SecTrust, _ error: UnsafeMutablePointer<CFError?>?) -> Bool {
    trust.isTrusted
}

public func SecTrustCopyCertificateChain(_ trust: SecTrust) -> CFArray? { trust.chain }

public func SecCertificateCopyKey(_ certificate: SecCertificate) -> SecKey? { certificate.key }

public func SecKeyCopyAttributes(_ key: SecKey) -> CFDictionary? {
    [kSecAttrKeyType: key.type, kSecAttrKeySizeInBits: key.bits]
}

public func SecKeyCopyExternalRepresentation(
    _ key: SecKey, _ error: UnsafeMutablePointer<Unmanaged<CFError>?>?
) -> CFData? { key.external }
