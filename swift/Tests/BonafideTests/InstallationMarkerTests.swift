import Foundation
import Testing

@testable import Bonafide
@testable import BonafideCore

@Suite struct InstallationMarkerTests {
    private let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
        "bonafide-marker-\(UUID().uuidString)/a/b", isDirectory: true)

    private var marker: InstallationMarker { InstallationMarker(directory: directory) }
    private var file: URL { directory.appendingPathComponent("installation") }

    @Test func itStaysAsLongAsTheApp() throws {
        let name = try marker.identifier()
        // Tests are debug builds; what a release build finds under its own name is another install's.
        #expect(name.hasSuffix(" debug"))
        #expect(UUID(uuidString: String(name.dropLast(6))) != nil)
        #expect(try marker.identifier() == name)
        #expect(try String(contentsOf: file, encoding: .utf8) + " debug" == name)
    }

    @Test func aDeletedAppHasAnotherOne() throws {
        let name = try marker.identifier()
        try FileManager.default.removeItem(at: directory)
        #expect(try marker.identifier() != name)
    }

    @Test func whatTheSDKDidNotWriteIsReplaced() throws {
        let name = try marker.identifier()
        try Data().write(to: file)
        let other = try marker.identifier()
        #expect(other != name)
        #expect(try marker.identifier() == other)
    }

    @Test func manyAtOnceAgree() async {
        let names = await withTaskGroup(of: String?.self) { tasks in
            for _ in 0..<20 { tasks.addTask { [marker] in try? marker.identifier() } }
            return await tasks.reduce(into: Set<String?>()) { $0.insert($1) }
        }
        #expect(names.count == 1)
        #expect(!names.contains(nil))
    }

    @Test func aFileThatStandsThereIsLeft() throws {
        let small = try SmallFile(named: "x", in: directory)
        #expect(try small.create("1"))
        #expect(try small.create("2") == false)
        #expect(try small.read() == "1")
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["x"])
    }

    @Test func aFileThatMayNotBeReadIsUnavailable() {
        #expect(InstallationMarker.failure(of: CocoaError(.fileReadNoPermission)) == .unavailable)
        #expect(InstallationMarker.failure(of: CocoaError(.fileWriteNoPermission)) == .unavailable)
        #expect(InstallationMarker.failure(of: CocoaError(.fileReadCorruptFile)) == .failed(259))
    }

    @Test func aDirectoryInItsPlaceFails() throws {
        try FileManager.default.createDirectory(at: file, withIntermediateDirectories: true)
        #expect(throws: StorageFailure.self) { try marker.identifier() }
    }
}
