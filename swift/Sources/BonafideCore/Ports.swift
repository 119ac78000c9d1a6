/// The ports by which the world comes in. The core draws no randomness, reads no clock, opens no connection and
/// stores nothing but through these; each is small enough to be written anew for a test.

/// The platform's attestation service (Apple App Attest): three calls, each of which may fail as Apple's do.
public protocol Attestor: Sendable {
    /// Makes a key in the Secure Enclave and returns its id. Throws `AttestorFailure`.
    func makeKey() async throws -> String
    /// Has Apple attest a key over SHA-256 of the client data. Needs the network, and works once for each key.
    /// Throws `AttestorFailure`; after `.unavailable` the same key and hash are to be tried again.
    func attest(_ key: String, clientDataHash: [UInt8]) async throws -> Evidence
    /// Signs SHA-256 of the client data by an attested key, without the network; its counter rises. Throws
    /// `AttestorFailure`.
    func assert(_ key: String, clientDataHash: [UInt8]) async throws -> Evidence
}

/// Why an attestor gave nothing.
public enum AttestorFailure: Error, Hashable, Sendable {
    /// This device, or this kind of process, has no App Attest.
    case unsupported
    /// The key is not known here, or was attested before: a reinstall, a restore, another device.
    case invalidKey
    /// Apple did not answer, or asks to come later: the same key and the same hash are tried again then.
    case unavailable
    /// Anything else that the platform reports.
    case failed(String)
}

/// One element of the list `evidence` of a message, in its JSON form.
public struct Evidence: Hashable, Sendable {
    /// The element; nil where there is nothing to show.
    package let json: JSON?

    package init(json: JSON?) { self.json = json }

    /// An attestation object of App Attest. `key` is the key id as Apple spells it, `object` its CBOR.
    public static func appAttest(key: String, object: [UInt8]) -> Evidence {
        Evidence(json: [
            "format": "apple-app-attest", "key_id": .string(key), "attestation": .string(Base64.urlEncoded(object)),
        ])
    }

    /// An assertion object of App Attest, CBOR.
    public static func appAttestAssertion(_ object: [UInt8]) -> Evidence {
        Evidence(json: ["format": "apple-app-attest-assertion", "assertion": .string(Base64.urlEncoded(object))])
    }

    /// Nothing, from a device or a provider that has nothing to show.
    public static let none = Evidence(json: nil)
}

/// The primitives. Everything above them (HKDF, Concat KDF, JWS, JWE) is the core's own.
public protocol Crypto: Sendable {
    /// SHA-256 of octets that are at hand.
    func sha256(_ octets: [UInt8]) -> [UInt8]
    /// SHA-256 of octets that come in pieces.
    func makeSHA256() -> any SHA256State
    /// HMAC with SHA-256 (RFC 2104), 32 octets.
    func hmacSHA256(key: [UInt8], _ octets: [UInt8]) -> [UInt8]
    /// Opens AES-GCM: AES-128 by a key of 16 octets, AES-256 by one of 32. Throws for any other size, and where key,
    /// nonce, text, tag or additional data do not belong together.
    func openAESGCM(
        key: [UInt8], nonce: [UInt8], ciphertext: [UInt8], tag: [UInt8], additionalData: [UInt8]
    ) throws -> [UInt8]
    /// Whether `signature` (r and s, 64 octets) is one of `octets` by `key`: ECDSA on P-256 with SHA-256. A key that
    /// is no point of the curve has signed nothing.
    func isValid(signature: [UInt8], of octets: [UInt8], by key: PublicKey) -> Bool
    /// Random octets, fit for keys and nonces.
    func random(_ count: Int) -> [UInt8]
}

extension Crypto {
    /// A number from 0 up to and without 1, for waits that not all devices are to make alike.
    func fraction() -> Double { random(4).reduce(0) { ($0 + Double($1)) / 256 } }
}

/// A running SHA-256.
public protocol SHA256State {
    mutating func update(_ octets: [UInt8])
    mutating func digest() -> [UInt8]
}

/// The private key `sign`: P-256, in the Secure Enclave on a device.
public protocol SigningKey: Sendable {
    var publicKey: PublicKey { get }
    /// What the key is stored as: the enclave's own wrapped form, useless elsewhere.
    var representation: [UInt8] { get }
    /// r and s (64 octets) of ECDSA with SHA-256 over `octets`. Throws `KeyFailure`.
    func signature(of octets: [UInt8]) throws -> [UInt8]
}

/// The private key `agree`: P-256, likewise.
public protocol AgreementKey: Sendable {
    var publicKey: PublicKey { get }
    /// As that of `SigningKey`.
    var representation: [UInt8] { get }
    /// The x coordinate of the common point, 32 octets (RFC 7518 section 4.6). Throws `KeyFailure`, also for a
    /// public key that is no point of the curve.
    func sharedSecret(with key: PublicKey) throws -> [UInt8]
}

/// Makes the device's two keys, and finds them again by what they are stored as.
public protocol DeviceKeys: Sendable {
    func makeSigningKey() throws -> any SigningKey
    func makeAgreementKey() throws -> any AgreementKey
    func signingKey(_ representation: [UInt8]) throws -> any SigningKey
    func agreementKey(_ representation: [UInt8]) throws -> any AgreementKey
}

/// Why a key of the device cannot be used.
public enum KeyFailure: Error, Hashable, Sendable {
    /// Not now: the device is locked, or the enclave is busy. The key is still there.
    case unavailable
    /// The enclave does not know the stored form (any more). Whoever signs may say so too; it counts only where the
    /// record came from an earlier install.
    case lost
}

/// One record that is kept as the Keychain keeps it: across starts and reinstalls, on this device alone.
///
/// Several processes may share it, so it is replaced by compare-and-swap and never read and then written.
public protocol SecureStorage: Sendable {
    /// The record, or nil where it is certain that there is none. Throws `StorageFailure`.
    func load() throws -> [UInt8]?
    /// Puts `record` in the place of exactly `expected` (nil: of nothing). False where something else stood there.
    /// Throws `StorageFailure`.
    func replace(_ expected: [UInt8]?, with record: [UInt8]) throws -> Bool
}

/// Why the storage did not answer.
public enum StorageFailure: Error, Hashable, Sendable {
    /// It cannot be read now (before the first unlock). This says nothing about what is in it.
    case unavailable
    /// What else the platform reports, by its number.
    case failed(Int)
}

/// Tells one install of the app from the next, which the Keychain alone does not.
public protocol Installation: Sendable {
    /// A name that a deleted and newly installed app does not share, made where there is none. Throws
    /// `StorageFailure`.
    func identifier() throws -> String
}

/// Carries messages to Bonafide's service; requests to the API go another way.
public protocol Transport: Sendable {
    /// Sends one message and returns its answer, redirects not followed. Throws what the network reports.
    func send(_ message: ServiceMessage) async throws -> ServiceAnswer
}

/// Time. The device's own may be wrong, and may be set while the app runs.
public protocol Clock: Sendable {
    /// What the device believes: seconds since 1970.
    func wall() -> Double
    /// Seconds that only ever grow, at the same pace, also while the device sleeps; their zero means nothing.
    func steady() -> Double
    /// Waits. Throws `CancellationError`.
    func sleep(_ seconds: Double) async throws
}

/// A message to the service: a POST with a body of JSON, or a GET without one.
public struct ServiceMessage: Sendable {
    /// `POST` or `GET`.
    public let method: String
    /// The absolute URL, canonical.
    public let url: String
    /// Field names in lower case, and their values.
    public let headers: [(name: String, value: String)]
    public let body: [UInt8]
    /// The most that is read of the answer's body, in octets.
    public let maxAnswerOctets: Int

    init(
        method: String = "POST", url: String, headers: [(name: String, value: String)], body: [UInt8],
        maxAnswerOctets: Int = 64 * 1024
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.maxAnswerOctets = maxAnswerOctets
    }
}

/// The service's answer.
public struct ServiceAnswer: Sendable {
    public let head: AnswerHead
    public let body: [UInt8]

    public init(head: AnswerHead, body: [UInt8]) {
        self.head = head
        self.body = body
    }
}
