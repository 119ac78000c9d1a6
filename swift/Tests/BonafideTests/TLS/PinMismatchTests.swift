import BonafideTestSupport
import DeviceCheck
import Foundation
import Security
import Testing

@testable import Bonafide
@testable import BonafideCore

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Pins against real TLS servers: a request of the app meets a certificate and is sent, or is not.
@Suite(.enabled(if: OpenSSL.isHere, "needs /usr/bin/openssl and /usr/bin/timeout"))
final class PinMismatchTests {
    private let host = "\(UUID().uuidString.lowercased()).example.com"
    private let service = SimulatedService(app: "shop", clock: SystemClock())
    private let ca: TestCA
    private let spare = Base64.encoded([UInt8](repeating: 99, count: 32))

    init() throws { ca = try TestCA() }

    deinit { SystemTLS.places.withLock { $0[host] = nil } }

    private func start(_ embedded: String?) -> Bonafide {
        var options = Bonafide.Options()
        options.identity = "TEAM123456.com.example.app"
        options.pins = embedded
        options.cookies = nil
        options.configuration = .ephemeral
        options.configuration.protocolClasses = [SystemTLS.self]
        let world = World(
            attestor: SoftwareAttestor(appID: "TEAM123456.com.example.app"), crypto: SoftwareCrypto(),
            keys: SoftwareDeviceKeys(), storage: MemoryStorage(), installation: MemoryInstallation(),
            transport: service, clock: SystemClock())
        return Bonafide(
            service: link("https://\(host)/v1"), app: "shop", serviceKeys: [service.issuer.thumbprint],
            options: options, world: world)
    }

    /// The host is now found where this server is.
    private func move(to server: TLSServer, isTrusted: Bool = true) {
        SystemTLS.places.withLock { $0[host] = .init(server: server, ca: ca, isTrusted: isTrusted) }
    }

    private func status(_ bonafide: Bonafide) async throws -> Int {
        try await bonafide.data(for: URLRequest(url: link("https://\(host)/"))).1.statusCode
    }

    @Test(arguments: ServerKey.allCases) func aServerWithAPinnedKeyIsSpokenWith(_ key: ServerKey) async throws {
        let server = try TLSServer(host, key: key, by: ca)
        move(to: server)
        service.publishPins([host: [server.pin, spare]])
        #expect(try await status(start(service.pinDocument)) == 200)
    }

    /// The system trusts it, as it trusts a proxy whose CA the phone's owner installed.
    @Test func aServerWithAnotherKeyOfATrustedCAIsNotSpokenWith() async throws {
        let (server, other) = (try TLSServer(host, key: .p256, by: ca), try TLSServer(host, key: .p256, by: ca))
        service.publishPins([host: [server.pin, spare]])
        let bonafide = start(service.pinDocument)
        move(to: other)
        await #expect(throws: BonafideError.pinMismatch(host: host)) { try await status(bonafide) }
        #expect(try await status(start(nil)) == 200, "without pins the system's word counts")
        move(to: server)
        #expect(try await status(bonafide) == 200)
    }

    @Test func aPinnedKeyOfACAThatTheSystemDoesNotTrustIsRefused() async throws {
        let server = try TLSServer(host, key: .p256, by: ca)
        move(to: server, isTrusted: false)
        service.publishPins([host: [server.pin, spare]])
        let bonafide = start(service.pinDocument)
        await #expect(throws: BonafideError.pinMismatch(host: host)) { try await status(bonafide) }
    }

    @Test func theKeyOfTheIssuerMayBePinned() async throws {
        move(to: try TLSServer(host, key: .p384, by: ca))
        service.publishPins([host: [try ca.pin(), spare]])
        #expect(try await status(start(service.pinDocument)) == 200)
    }

    @Test func aNewerDocumentFollowsTheServerToAnotherKey() async throws {
        let (server, next) = (try TLSServer(host, key: .p256, by: ca), try TLSServer(host, key: .rsa2048, by: ca))
        service.publishPins([host: [server.pin, spare]])
        let bonafide = start(service.pinDocument)
        move(to: server)
        #expect(try await status(bonafide) == 200)
        service.publishPins([host: [next.pin, spare]])
        #expect(try await bonafide.refreshPins())
        await #expect(throws: BonafideError.pinMismatch(host: host)) { try await status(bonafide) }
        move(to: next)
        #expect(try await status(bonafide) == 200)
    }

    @Test func aDocumentThatHasEndedRefusesNobody() async throws {
        let (server, other) = (try TLSServer(host, key: .p256, by: ca), try TLSServer(host, key: .p256, by: ca))
        service.publishPins([host: [server.pin, spare]], lasting: -1)
        move(to: other)
        #expect(try await status(start(service.pinDocument)) == 200)
    }
}
