// swift-tools-version: 6.0
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func library(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource]? = nil) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "swift/Sources/\(name)", resources: resources,
        swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: "swift/Tests/\(name)", swiftSettings: settings)
}

// On Apple's platforms CryptoKit, DeviceCheck and Security are the system's. On Linux, where the SDK is type-checked
// and tested, stand-ins of the same names take their place: they are no products, and nothing that ships has them.
#if os(Linux)
    let apple: [Target.Dependency] = ["CryptoKit", "DeviceCheck", "Security"]
    let libcrypto: [Target.Dependency] = ["CLibcrypto"]
    func standIn(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
        .target(name: name, dependencies: dependencies, path: "swift/StandIns/\(name)", swiftSettings: settings)
    }
    func tool(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
        .executableTarget(
            name: name, dependencies: dependencies, path: "swift/Tools/\(name)", swiftSettings: settings)
    }
    let onLinux: [Target] = [
        .systemLibrary(
            name: "CLibcrypto", path: "swift/Sources/CLibcrypto", pkgConfig: "libcrypto",
            providers: [.apt(["libssl-dev"])]),
        standIn("CryptoKit", libcrypto),
        standIn("DeviceCheck"),
        standIn("Security"),
        tests("BonafideTests", ["Bonafide", "BonafideCore", "BonafideTestSupport"] + apple),
        tests("BonafideServiceTests", ["Bonafide", "BonafideCore", "BonafideTestSupport", "ShopSample"]),
        // The sample app's half that is free of SwiftUI, so that what people copy from compiles.
        .target(
            name: "ShopSample", dependencies: ["Bonafide"], path: "examples/ios_shop",
            exclude: ["README.md", "LoginView.swift", "ShopApp.swift", "ShopModel.swift", "ShopView.swift"],
            swiftSettings: settings),
        tool("core-alone", ["BonafideCore"]),
        tool("vector-writer", ["BonafideCore", "BonafideTestSupport"]),
        tool("bench", ["Bonafide", "BonafideCore", "BonafideTestSupport"]),
    ]
#else
    let apple: [Target.Dependency] = []
    let libcrypto: [Target.Dependency] = []
    let onLinux: [Target] = []
#endif

let package = Package(
    name: "Bonafide",
    platforms: [.iOS(.v15), .macCatalyst(.v15), .macOS(.v12)],
    products: [
        .library(name: "Bonafide", targets: ["Bonafide"]),
        .library(name: "BonafideCore", targets: ["BonafideCore"]),
        .library(name: "BonafideTestSupport", targets: ["BonafideTestSupport"]),
    ],
    targets: [
        library("BonafideCore"),
        library("Bonafide", ["BonafideCore"] + apple, resources: [.process("PrivacyInfo.xcprivacy")]),
        library("BonafideTestSupport", ["BonafideCore"] + libcrypto),
        tests("BonafideCoreTests", ["BonafideCore", "BonafideTestSupport"]),
        tests("PublicAPITests", ["Bonafide", "BonafideCore", "BonafideTestSupport"]),
    ] + onLinux,
    swiftLanguageModes: [.v6]
)
