import Foundation
import Security
import Testing

@testable import Bonafide
@testable import BonafideCore

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

@Suite struct SettingTests {
    private func setting(
        _ service: String = "https://API.example.com:443/bonafide/v1/",
        _ change: (inout Bonafide.Options) -> Void = { $0.identity = "TEAM123456.com.example.app" }
    ) -> Setting {
        var options = Bonafide.Options()
        change(&options)
        return Setting(
            service: link(service), app: "shop", serviceKeys: ["a", "b"], options: options, world: nil)
    }

    @Test func theCoreIsToldWhatTheAppSaid() throws {
        let configuration = try setting().configuration()
        #expect(configuration.service == "https://api.example.com/bonafide/v1")
        #expect(configuration.app == "shop")
        #expect(configuration.serviceKeys == ["a", "b"])
        #expect(configuration.identity == "TEAM123456.com.example.app")
        #expect(configuration.role == .app)
        #expect(configuration.patience == 20)
        for version in [configuration.versions.app, configuration.versions.system, configuration.versions.sdk] {
            #expect(version.wholeMatch(of: /[A-Za-z0-9.+_-]{1,32}/) != nil)
        }
    }

    /// An app and its extension may spell the service differently, and share one record.
    @Test func oneServiceHasOneRecordHoweverItIsSpelt() throws {
        try StandInKeychain.$current.withValue(StandInKeychain()) {
            let courier = URLCourier(configuration: .ephemeral, pins: PinBoard(nil, clock: SystemClock()))
            let app = setting("https://API.example.com:443/bonafide/v1/").world(courier: courier).storage
            let appExtension = setting("https://api.example.com/bonafide/v1").world(courier: courier).storage
            let isStored = try app.replace(nil, with: [7])
            let found = try appExtension.load()
            #expect(isStored)
            #expect(found == [7])
        }
    }

    @Test func withoutAnAppIDNothingIsMade() {
        StandInKeychain.$current.withValue(StandInKeychain()) {
            #expect(throws: BonafideError.requestNotSignable("no App ID is known: set Options.identity")) {
                try setting("https://api.example.com/v1") { _ in }.configuration()
            }
        }
    }

    @Test(arguments: [("1.2.3", "1.2.3"), ("1.2 (beta)", "1.2beta"), ("", "0"), ("ü", "0"), ("1_2+3-4", "1_2+3-4")])
    func versionsAreWhatTheServiceReads(given: String, admitted: String) {
        #expect(Configuration.Versions.admitted(given) == admitted)
        #expect(Configuration.Versions.admitted(String(repeating: "1", count: 99)).count == 32)
    }

    @Test func aPinDocumentThatNobodySignedStopsEverything() async {
        var options = Bonafide.Options()
        options.identity = "TEAM123456.com.example.app"
        options.pins = "e30.e30.AAAA"
        let bonafide = Bonafide(
            service: link("https://api.example.com/v1"), app: "shop", serviceKeys: ["a"], options: options)
        let refused = BonafideError.answerRefused("document.header_refused")
        let request = URLRequest(url: link("https://api.example.com/a"))
        await #expect(throws: refused) { try await bonafide.prepare() }
        await #expect(throws: refused) { try await bonafide.data(for: request) }
    }

    @Test func anExtensionHasNoMarkerAndADebugBuildItsOwnAttestor() {
        let device = setting { $0.role = .appExtension }
        let courier = URLCourier(configuration: .ephemeral, pins: PinBoard(nil, clock: SystemClock()))
        #expect(device.world(courier: courier).installation == nil)
        #expect(setting().world(courier: courier).installation is InstallationMarker)
        #expect(setting().world(courier: courier).attestor is AppAttest)
        #if DEBUG
            let debug = setting { $0.attestor = DebugAttestor(app: "shop", name: "ci", secret: [1]) }
            #expect(debug.world(courier: courier).attestor is DebugAttestor)
        #endif
    }

    /// Only compiled: the lines of the quick start.
    private func quickStart(request: URLRequest, file: URL) async throws {
        let bonafide = Bonafide(
            service: link("https://api.example.com/bonafide/v1"), app: "shop", serviceKeys: ["k", "spare"])
        let (data, response) = try await bonafide.data(for: request)
        var login = request
        try await bonafide.sign(&login, proof: .hardware)
        _ = try await bonafide.upload(for: request, fromFile: file)
        _ = try await bonafide.download(for: request)
        _ = (data, response)
    }
}
