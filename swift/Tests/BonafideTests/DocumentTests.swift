import BonafideTestSupport
import CryptoKit
import DeviceCheck
import Foundation
import Security
import Testing

@testable import Bonafide
@testable import BonafideCore

/// Secrets, configuration and pins as an app asks for them, over the stand-ins of Apple's half.
@Suite struct DocumentTests {
    private static let host = "api.example.com"
    private let service = SimulatedService(app: "shop", clock: SystemClock())
    private let installation = MemoryInstallation()
    private let keychain = StandInKeychain()
    private let enclave = StandInEnclave()

    /// A start of the app, with what it carries.
    private func start(_ embedded: String? = nil, clock: any BonafideCore.Clock = SystemClock()) -> Bonafide {
        var options = Bonafide.Options()
        options.identity = "TEAM123456.com.example.app"
        options.pins = embedded
        let world = World(
            attestor: AppAttest(), crypto: PlatformCrypto(), keys: EnclaveKeys(),
            storage: KeychainStorage(service: "s", app: "shop"), installation: installation, transport: service,
            clock: clock)
        return Bonafide(
            service: link("https://api.example.com/v1"), app: "shop", serviceKeys: [service.issuer.thumbprint],
            options: options, world: world)
    }

    private func onDevice(_ work: () async throws -> Void) async throws {
        let script = AppAttestScript(
            generateKey: { Data(repeating: 5, count: 32).base64EncodedString() }, attestKey: { _, _ in Data([1]) },
            generateAssertion: { _, _ in Data([2]) })
        try await StandInKeychain.$current.withValue(keychain) {
            try await StandInEnclave.$current.withValue(enclave) {
                try await AppAttestScript.$current.withValue(script) { try await work() }
            }
        }
    }

    private func publish(_ octet: UInt8) {
        service.publishPins([Self.host: [octet, 99].map { Base64.encoded([UInt8](repeating: $0, count: 32)) }])
    }

    private func admits(_ bonafide: Bonafide, _ octet: UInt8) -> Bool {
        bonafide.pins.admits([[UInt8](repeating: octet, count: 32)], of: Self.host)
    }

    @Test func secretsAndConfigurationAreOneCallEach() async throws {
        service.setSecrets(["maps": "key of the maps"])
        service.setConfiguration(shared: ["colour": "blue"], sealed: ["group": 2])
        try await onDevice {
            let bonafide = start()
            let secrets = try await bonafide.secrets()
            #expect(secrets["maps"] == "key of the maps")
            #expect(secrets.expires.timeIntervalSinceNow > 3000)
            let configuration = try await bonafide.configuration()
            #expect(try configuration.shared.decode([String: String].self) == ["colour": "blue"])
            #expect(try configuration.sealed.decode([String: Int].self) == ["group": 2])
            #expect(throws: DecodingError.self) { try configuration.sealed.decode([String: String].self) }
            #expect(configuration.shared.expires > Date())
        }
    }

    @Test func newerPinsHoldAtOnceAndAtTheNextStart() async throws {
        publish(1)
        let embedded = service.pinDocument
        publish(2)
        try await onDevice {
            let bonafide = start(embedded)
            try await bonafide.prepare()
            await until { admits(bonafide, 2) }
            #expect(!admits(bonafide, 1))
            #expect(try await !bonafide.refreshPins(), "nothing newer came")
            publish(3)
            #expect(try await bonafide.refreshPins())
            #expect(admits(bonafide, 3) && !admits(bonafide, 2))
            for embedded in [embedded, nil] {
                let again = start(embedded)
                _ = try again.ready()
                #expect(admits(again, 3) && !admits(again, 1))
            }
        }
    }

    @Test func whatTheAppCarriesHoldsWhereItIsNewer() async throws {
        publish(1)
        try await onDevice {
            try await start().refreshPins()
            publish(2)
            let updated = start(service.pinDocument)
            _ = try updated.ready()
            #expect(admits(updated, 2) && !admits(updated, 1))
        }
    }

    /// Whoever keeps the answer back, or puts another in its place, keeps the old pins and opens nothing.
    @Test func withoutAnAnswerTheOldPinsHold() async throws {
        publish(1)
        let embedded = service.pinDocument
        publish(2)
        try await onDevice {
            let bonafide = start(embedded)
            service.always(.pins, .down)
            await #expect(throws: BonafideError.transport("ServiceIsDown()")) { try await bonafide.refreshPins() }
            service.always(.pins, .forged(members: ["pins": "e30.e30.AAAA"]))
            await #expect(throws: BonafideError.answerRefused("document.header_refused")) {
                try await bonafide.refreshPins()
            }
            #expect(admits(bonafide, 1) && !admits(bonafide, 2))
            #expect(bonafide.pins.concerns(Self.host))
        }
    }

    @Test func preparingAsksForPinsOnceADayAndOnlyWhereSomeHold() async throws {
        publish(1)
        try await onDevice {
            let without = start()
            try await without.prepare()
            let bonafide = start(service.pinDocument)
            for _ in 0..<5 { try await bonafide.prepare() }
            await until { service.count(.pins) > 0 }
            await until { !bonafide.pinsAreAsked.withLock { $0 } }
            try await start(service.pinDocument).prepare()
            try await bonafide.prepare()
            await until { !bonafide.pinsAreAsked.withLock { $0 } }
            #expect(service.count(.pins) == 1)
            #expect(!without.pins.concerns(Self.host))
        }
    }

    @Test func pinsThatHaveEndedPinNothing() async throws {
        let clock = ManualClock(wall: SystemClock().wall(), steady: 5)
        service.publishPins(
            [Self.host: [1, 99].map { Base64.encoded([UInt8](repeating: $0, count: 32)) }], lasting: 100)
        try await onDevice {
            let bonafide = start(service.pinDocument, clock: clock)
            _ = try bonafide.ready()
            #expect(!admits(bonafide, 2))
            clock.advance(101)
            #expect(admits(bonafide, 2))
        }
    }
}

/// Lets others run until `condition` holds; gives up after a while, so that what follows fails.
private func until(_ condition: () -> Bool) async {
    let end = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < end, !condition() { await Task.yield() }
}
