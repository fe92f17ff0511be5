// swift-tools-version: 6.2
import CompilerPluginSupport
import PackageDescription

// A program that Martlet sends to other machines must run where no Swift is installed, so the two executables link
// fully static on Linux. SwiftPM has no setting for it, hence the flags; the libraries that Foundation's static archives
// need are named because the compiler records them only when it compiles for a static standard library.
let staticLinux: [LinkerSetting] = [
    .unsafeFlags(
        ["-static-executable", "-l_FoundationCollections", "-l_FoundationCShims", "-lswiftSynchronization"],
        .when(platforms: [.linux])
    )
]

// The command line's journal brings all of Foundation.
let staticFoundation: [LinkerSetting] = [
    .unsafeFlags(
        ["-lCoreFoundation", "-lFoundationInternationalization", "-l_FoundationICU", "-lstdc++"],
        .when(platforms: [.linux]))
]

let package = Package(
    name: "martlet",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Martlet", targets: ["Martlet"]),
        .library(name: "MartletActors", targets: ["MartletActors"]),
        .library(name: "MartletFleet", targets: ["MartletFleet"]),
        .library(name: "MartletFragment", targets: ["MartletFragment"]),
        .library(name: "MartletMacros", targets: ["MartletMacros"]),
        .library(name: "MartletOperations", targets: ["MartletOperations"]),
        .library(name: "MartletPython", targets: ["MartletPython"]),
        .library(name: "MartletShim", targets: ["MartletShim"]),
        .library(name: "MartletSocket", targets: ["MartletSocket"]),
        .library(name: "MartletTelemetry", targets: ["MartletTelemetry"]),
        .library(name: "MartletTestKit", targets: ["MartletTestKit"]),
        .executable(name: "martlet", targets: ["martlet-cli"]),
        .executable(name: "martlet-agent", targets: ["martlet-agent"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        // For the command line's journal alone. It wants SQLite's header and libraries: libsqlite3-dev.
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        // For those who compile a program with MartletMacros; nothing of it is in the program.
        .package(url: "https://github.com/swiftlang/swift-syntax", from: "603.0.1"),
    ],
    targets: [
        .target(name: "CMartlet"),
        .target(name: "MartletWire"),
        .target(
            name: "MartletLink",
            dependencies: ["MartletWire", .product(name: "DequeModule", package: "swift-collections")]
        ),
        .target(
            name: "MartletReactor",
            dependencies: ["CMartlet", .product(name: "DequeModule", package: "swift-collections")]
        ),
        .target(
            name: "Martlet",
            dependencies: [
                "CMartlet", "MartletWire", "MartletLink", "MartletReactor",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        .target(
            name: "MartletTelemetry",
            dependencies: [
                "Martlet",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Instrumentation", package: "swift-distributed-tracing"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ]
        ),
        .target(name: "MartletActors", dependencies: ["Martlet", "MartletReactor", "MartletWire"]),
        .macro(
            name: "MartletMacroPlugin",
            dependencies: [
                .product(name: "SwiftCompilerPlugin", package: "swift-syntax"),
                .product(name: "SwiftDiagnostics", package: "swift-syntax"),
                .product(name: "SwiftParser", package: "swift-syntax"),
                .product(name: "SwiftSyntax", package: "swift-syntax"),
                .product(name: "SwiftSyntaxBuilder", package: "swift-syntax"),
                .product(name: "SwiftSyntaxMacros", package: "swift-syntax"),
            ]
        ),
        .target(name: "MartletMacros", dependencies: ["Martlet", "MartletFleet", "MartletMacroPlugin"]),
        .target(
            name: "MartletFleet",
            dependencies: [
                "Martlet", "MartletPython", "MartletReactor",
                .product(name: "DequeModule", package: "swift-collections"),
            ]
        ),
        .target(
            name: "MartletFragment",
            dependencies: ["CMartlet", "Martlet", "MartletReactor"],
            exclude: ["FarSide"],
            plugins: ["PackFragment"]
        ),
        .plugin(name: "PackFragment", capability: .buildTool(), dependencies: ["pack-fragment"]),
        .executableTarget(name: "pack-fragment"),
        .target(
            name: "MartletOperations",
            dependencies: ["CMartlet", "Martlet", "MartletReactor", "MartletShim", "MartletWire"]
        ),
        .target(
            name: "MartletPython",
            dependencies: ["CMartlet", "Martlet", "MartletReactor", "MartletWire"],
            exclude: [
                "Runtime/martlet_runtime.py", "Runtime/martlet_modules.py", "Runtime/martlet_operations.py",
                "Runtime/martlet_resources.py",
            ]
        ),
        .target(
            name: "MartletShim",
            dependencies: [
                "CMartlet", "Martlet", "MartletLink", "MartletReactor", "MartletWire",
                .product(name: "DequeModule", package: "swift-collections"),
            ]
        ),
        .target(
            name: "MartletSocket",
            dependencies: [
                "CMartlet", "Martlet", "MartletReactor",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]
        ),
        .target(
            name: "MartletCommand",
            dependencies: [
                "CMartlet", "Martlet", "MartletFleet", "MartletFragment", "MartletOperations", "MartletPython",
                "MartletReactor", "MartletShim", "MartletSocket", "MartletWire",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "TOMLKit", package: "TOMLKit"),
            ]
        ),
        .executableTarget(
            name: "martlet-cli", dependencies: ["MartletCommand"], linkerSettings: staticLinux + staticFoundation),
        .executableTarget(name: "martlet-agent", dependencies: ["Martlet"], linkerSettings: staticLinux),
        .target(name: "MartletTestKit", dependencies: ["MartletReactor"]),
        // What the tests of several modules have in common; no product.
        .target(
            name: "MartletTestSupport",
            dependencies: ["Martlet", "MartletTestKit", .product(name: "Logging", package: "swift-log")],
            path: "Tests/MartletTestSupport"
        ),
        .testTarget(name: "MartletWireTests", dependencies: ["MartletWire", "MartletTestKit"]),
        .testTarget(name: "MartletLinkTests", dependencies: ["MartletLink", "MartletTestKit", "MartletWire"]),
        .testTarget(name: "MartletReactorTests", dependencies: ["MartletReactor", "MartletTestKit"]),
        .testTarget(
            name: "MartletTests",
            dependencies: [
                "Martlet", "MartletTestKit", "MartletTestSupport", "MartletWire", "MartletLink", "MartletReactor",
            ]),
        .testTarget(
            name: "MartletConnectTests",
            dependencies: ["Martlet", "MartletReactor", "MartletTestKit", "MartletTestSupport"]),
        .testTarget(
            name: "MartletConnectorTests",
            dependencies: ["Martlet", "MartletPython", "MartletTestKit", "MartletTestSupport", "MartletWire"]),
        .testTarget(
            name: "MartletFilesTests",
            dependencies: ["Martlet", "MartletTestKit", "MartletTestSupport"]),
        .testTarget(
            name: "MartletActorsTests",
            dependencies: ["Martlet", "MartletActors", "MartletTestKit", "MartletTestSupport", "MartletWire"]),
        .testTarget(
            name: "MartletMacrosTests",
            dependencies: ["MartletMacros", "MartletTestKit", "MartletTestSupport"]),
        .testTarget(
            name: "MartletFleetTests",
            dependencies: ["Martlet", "MartletFleet", "MartletPython", "MartletTestKit", "MartletTestSupport"]),
        .testTarget(
            name: "MartletFragmentTests",
            dependencies: ["Martlet", "MartletFragment", "MartletReactor", "MartletTestKit"]),
        .testTarget(
            name: "MartletOperationsTests",
            dependencies: ["Martlet", "MartletOperations", "MartletShim", "MartletTestKit", "MartletTestSupport"]),
        .testTarget(
            name: "MartletPythonTests",
            dependencies: [
                "Martlet", "MartletPython", "MartletTestKit", "MartletTestSupport", "MartletWire",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "MartletShimTests",
            dependencies: ["Martlet", "MartletShim", "MartletReactor", "MartletTestKit", "MartletTestSupport"]),
        .testTarget(
            name: "MartletSocketTests",
            dependencies: ["Martlet", "MartletSocket", "MartletTestKit", "MartletTestSupport", "MartletReactor"]),
        .testTarget(
            name: "MartletTelemetryTests",
            dependencies: [
                "Martlet", "MartletTelemetry", "MartletTestKit", "MartletTestSupport",
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ]),
        .testTarget(
            name: "MartletAuthorityTests",
            dependencies: [
                "Martlet", "MartletActors", "MartletTestKit", "MartletWire", "MartletLink",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "MartletFuzzTests", dependencies: ["Martlet", "MartletTestKit", "MartletWire", "MartletLink"]),
        .testTarget(name: "MartletBootstrapTests", dependencies: ["Martlet", "MartletTestKit"]),
        .testTarget(name: "MartletSoakTests", dependencies: ["Martlet", "MartletTestKit"]),
        .testTarget(name: "MartletTestKitTests", dependencies: ["MartletTestKit"]),
        .testTarget(
            name: "MartletCommandTests",
            dependencies: [
                "Martlet", "MartletCommand", "MartletFleet", "MartletPython", "MartletTestKit", "MartletTestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .plugin {
    // Each agent says which build it is. Without a build id in its program it hashes all of that, and tests start thousands.
    if target.type == .test {
        target.linkerSettings = [.unsafeFlags(["-Xlinker", "--build-id=sha1"], .when(platforms: [.linux]))]
    }
    var settings = target.swiftSettings ?? []
    settings.append(.enableUpcomingFeature("ExistentialAny"))
    settings.append(.enableUpcomingFeature("InternalImportsByDefault"))
    settings.append(.enableUpcomingFeature("MemberImportVisibility"))
    // CI sets this: our own targets build without a warning, whatever those of other packages do.
    if Context.environment["MARTLET_STRICT"] != nil {
        settings.append(.treatAllWarnings(as: .error))
        target.cSettings = (target.cSettings ?? []) + [.treatAllWarnings(as: .error)]
    }
    target.swiftSettings = settings
}
