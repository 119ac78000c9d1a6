// A program that uses the core and nothing else, so that what it links shows what the core brings along.
import BonafideCore

struct Nowhere: Attestor, DeviceKeys, SecureStorage, Transport, Clock {
    func makeKey() async throws -> String { throw AttestorFailure.unsupported }
    func attest(_ key: String, clientDataHash: [UInt8]) async throws -> Evidence { throw AttestorFailure.unsupported }
    func assert(_ key: String, clientDataHash: [UInt8]) async throws -> Evidence { throw AttestorFailure.unsupported }
    func makeSigningKey() throws -> any SigningKey { throw KeyFailure.unavailable }
    func makeAgreementKey() throws -> any AgreementKey { throw KeyFailure.unavailable }
    func signingKey(_ representation: [UInt8]) throws -> any SigningKey { throw KeyFailure.unavailable }
    func agreementKey(_ representation: [UInt8]) throws -> any AgreementKey { throw KeyFailure.unavailable }
    func load() throws -> [UInt8]? { throw StorageFailure.unavailable }
    func replace(_ expected: [UInt8]?, with record: [UInt8]) throws -> Bool { throw StorageFailure.unavailable }
    func send(_ message: ServiceMessage) async throws -> ServiceAnswer { throw StorageFailure.unavailable }
    func wall() -> Double { 0 }
    func steady() -> Double { 0 }
    func sleep(_ seconds: Double) async throws {}
}

struct NoCrypto: Crypto, SHA256State {
    func sha256(_ octets: [UInt8]) -> [UInt8] { [UInt8](repeating: 0, count: 32) }
    func makeSHA256() -> any SHA256State { self }
    func hmacSHA256(key: [UInt8], _ octets: [UInt8]) -> [UInt8] { [UInt8](repeating: 0, count: 32) }
    func openAESGCM(
        key: [UInt8], nonce: [UInt8], ciphertext: [UInt8], tag: [UInt8], additionalData: [UInt8]
    ) throws -> [UInt8] { throw KeyFailure.unavailable }
    func isValid(signature: [UInt8], of octets: [UInt8], by key: PublicKey) -> Bool { false }
    func random(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
    mutating func update(_ octets: [UInt8]) {}
    mutating func digest() -> [UInt8] { [UInt8](repeating: 0, count: 32) }
}

let world = World(
    attestor: Nowhere(), crypto: NoCrypto(), keys: Nowhere(), storage: Nowhere(), installation: nil,
    transport: Nowhere(), clock: Nowhere())
let configuration = Configuration(
    service: "https://api.example.com/bonafide/v1", app: "shop", serviceKeys: [],
    identity: "ABCDE12345.com.example.shop",
    versions: .init(app: "1.0", system: "18.5"))
do {
    try await Client(configuration: configuration, world: world).prepare()
    print("enrolled with nothing")
} catch {
    print(error)
}
