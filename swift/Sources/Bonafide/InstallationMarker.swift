public import BonafideCore
import Foundation

/// A small file that goes with the app when it is deleted, and into no backup: what the Keychain keeps from an earlier
/// install, or brings from another device, has no such file beside it.
public struct InstallationMarker: Installation {
    private let appGroup: String?
    private let directory: URL?

    /// The marker is in Application Support, or in the container of `appGroup`.
    ///
    /// A group's container lives as long as any app of the group: with several, take Application Support.
    public init(appGroup: String? = nil) {
        self.appGroup = appGroup
        directory = nil
    }

    /// The marker is in this directory, which is made where it does not exist.
    init(directory: URL) {
        appGroup = nil
        self.directory = directory
    }

    /// The marker's name, and whether this is a debug build: Apple's development keys are worth nothing to the builds
    /// that go to TestFlight and the App Store, so one that is installed over the other attests a key of its own.
    public func identifier() throws -> String {
        #if DEBUG
            return "\(try name()) debug"
        #else
            return try name()
        #endif
    }

    private func name() throws -> String {
        Self.oneAtATime.lock()
        defer { Self.oneAtATime.unlock() }
        do {
            let file = try SmallFile(named: "installation", in: container())
            if let text = try file.read() {
                if let known = UUID(uuidString: text) { return known.uuidString }
                try file.remove()  // nothing that this SDK wrote
            }
            let made = UUID().uuidString
            if try file.create(made) { return made }
            // Another process was first; its name counts for both.
            guard let text = try file.read(), let known = UUID(uuidString: text) else {
                throw StorageFailure.unavailable
            }
            return known.uuidString
        } catch let failure as StorageFailure {
            throw failure
        } catch {
            throw Self.failure(of: error)
        }
    }

    /// Two threads would else both make a marker.
    private static let oneAtATime = NSLock()

    private func container() throws -> URL {
        try directory ?? SmallFile.container(appGroup: appGroup)
    }

    /// A file that is there and may not be read is behind data protection, until the first unlock.
    static func failure(of error: any Error) -> StorageFailure {
        let report = error as NSError
        let denied = [CocoaError.fileReadNoPermission, .fileWriteNoPermission].map(\.rawValue)
        return report.domain == NSCocoaErrorDomain && denied.contains(report.code)
            ? .unavailable : .failed(report.code)
    }
}

/// A file of one line: never in a backup, readable from the first unlock on, complete or absent.
struct SmallFile {
    private let file: URL

    /// Makes the directory where there is none.
    init(named name: String, in directory: URL) throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        file = directory.appendingPathComponent(name, isDirectory: false)
    }

    /// The SDK's own directory: on a Mac without sandbox, Application Support is that of all apps.
    static func container(appGroup: String?) throws -> URL {
        let name = Bundle.main.bundleIdentifier ?? ProcessInfo.processInfo.processName
        var root: URL
        if let appGroup {
            guard let container = groupContainer(appGroup) else { throw StorageFailure.failed(missingEntitlement) }
            root = container
        } else {
            root = try FileManager.default.url(
                for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        }
        root.appendPathComponent("Bonafide", isDirectory: true)
        return root.appendingPathComponent(name, isDirectory: true)
    }

    /// The text, or nil where there is no file.
    func read() throws -> String? {
        do {
            return String(decoding: try Data(contentsOf: file), as: UTF8.self)
        } catch CocoaError.fileReadNoSuchFile {
            return nil
        }
    }

    /// Puts the text there, complete or not at all. False where a file stood there: it is left as it is.
    func create(_ text: String) throws -> Bool {
        #if canImport(Darwin)
            let options: Data.WritingOptions = .completeFileProtectionUntilFirstUserAuthentication
        #else
            let options: Data.WritingOptions = []
        #endif
        let draft = file.appendingPathExtension(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: draft) }
        try Data(text.utf8).write(to: draft, options: options)
        #if canImport(Darwin)
            // Before the move: a crash in between must not leave a marker that backups take along.
            var values = URLResourceValues()
            values.isExcludedFromBackup = true
            var marked = draft
            try marked.setResourceValues(values)
        #endif
        do {
            try FileManager.default.moveItem(at: draft, to: file)
            return true
        } catch CocoaError.fileWriteFileExists {
            return false
        }
    }

    func remove() throws { try FileManager.default.removeItem(at: file) }

    /// The status that the Keychain has for a group that the app is not entitled to.
    private static let missingEntitlement = -34018

    private static func groupContainer(_ appGroup: String) -> URL? {
        #if canImport(Darwin)
            return FileManager.default.containerURL(forSecurityApplicationGroupIdentifier: appGroup)
        #else
            return nil
        #endif
    }
}
