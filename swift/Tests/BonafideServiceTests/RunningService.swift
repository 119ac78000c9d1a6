import BonafideCore
import BonafideTestSupport
import Foundation
import Testing

/// The real service and the real example API, in processes of their own, over HTTP on loopback.
///
/// Started by `python -m tests.swift.world`, which ends when its standard input does: so it does not outlive the tests.
final class RunningService: @unchecked Sendable {  // what changes is reached only under `lock`
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let origin: String
    let service: String
    let identity: String
    let serviceKeys: Set<String>
    let users: [String: String]
    let apple: FakeApple

    private let process: Process
    private let input: FileHandle
    private let lines: LineReader
    private let lock = NSLock()

    /// Whether the project's Python environment is there. Where it is not, nothing here can run.
    static var isPossible: Bool { FileManager.default.isExecutableFile(atPath: python.path) }

    /// Whether there is a mitmproxy besides, to stand between: `make setup-mitmproxy` makes its environment.
    static var hasProxy: Bool {
        isPossible
            && FileManager.default.isExecutableFile(
                atPath: root.appendingPathComponent(".venv-mitmproxy/bin/mitmdump").path)
    }

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
    private static let python = root.appendingPathComponent(".venv/bin/python")

    init(_ options: String...) throws {
        let process = Process()
        process.executableURL = Self.python
        process.arguments = ["-m", "tests.swift.world"] + options
        process.currentDirectoryURL = Self.root
        let input = Pipe()
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        // Another child that is started meanwhile would keep these ends open, and this one would never see its end.
        for end in [input.fileHandleForWriting, output.fileHandleForReading] {
            _ = fcntl(end.fileDescriptor, F_SETFD, FD_CLOEXEC)
        }
        try process.run()
        self.process = process
        self.input = input.fileHandleForWriting
        lines = LineReader(output.fileHandleForReading)
        guard let line = lines.next(), let json = JSON(octets: Array(line.utf8)) else {
            throw Failure(description: "the service did not start")
        }
        guard let origin = json["origin"]?.text, let service = json["service"]?.text,
            let identity = json["identity"]?.text, let keys = json["service_keys"]?.elements,
            let apple = json["apple"].flatMap(FakeApple.init), case .object(let users) = json["users"]
        else { throw Failure(description: "the service says something else") }
        self.origin = origin
        self.service = service
        self.identity = identity
        self.apple = apple
        serviceKeys = Set(keys.compactMap(\.text))
        let passwords = users.compactMap { user in user.value.text.map { (user.name, $0) } }
        self.users = Dictionary(uniqueKeysWithValues: passwords)
    }

    deinit { stop() }

    /// Ends the service, and waits until it has ended. `waitUntilExit` would run a loop that may never be woken.
    func stop() {
        try? input.close()
        for _ in 0..<500 where process.isRunning { usleep(20_000) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }

    /// Has the program do something, and returns what it answers.
    @discardableResult func tell(_ command: String, _ members: [String: String] = [:]) throws -> JSON {
        try tell(command, members.map { JSON.Member($0.key, .string($0.value)) })
    }

    @discardableResult func tell(_ command: String, _ members: [JSON.Member]) throws -> JSON {
        let line = JSON.object([.init("do", .string(command))] + members).octets + [0x0A]
        return try lock.withLock {
            try input.write(contentsOf: Data(line))
            guard let answer = lines.next(),
                let json = JSONReader.object(answer.utf8, maxOctets: Self.longestAnswer), json["error"] == nil
            else { throw Failure(description: "\(command) failed") }
            return json
        }
    }

    /// A proxy tells of whole answers.
    private static let longestAnswer = 1 << 26

    /// The instances that the service has, oldest first.
    func instances() throws -> [JSON] { try tell("instances")["instances"]?.elements ?? [] }

    /// The precise reasons of refusals since the last call.
    func reasons() throws -> [String] { try tell("reasons")["reasons"]?.elements?.compactMap(\.text) ?? [] }
}

/// Lines of a pipe, read one by one.
private final class LineReader: @unchecked Sendable {  // read under the service's lock
    private let handle: FileHandle
    private var pending = Data()

    init(_ handle: FileHandle) { self.handle = handle }

    /// Waits for a line; nil at the end.
    func next() -> String? {
        while true {
            if let end = pending.firstIndex(of: 0x0A) {
                let line = String(decoding: pending[..<end], as: UTF8.self)
                pending = Data(pending[(end + 1)...])
                return line
            }
            let more = handle.availableData
            if more.isEmpty { return nil }
            pending += more
        }
    }
}
