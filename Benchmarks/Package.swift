// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "martlet-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "martlet", path: "..")],
    targets: [
        .executableTarget(
            name: "martlet-benchmarks",
            dependencies: [
                .product(name: "Martlet", package: "martlet"),
                .product(name: "MartletFleet", package: "martlet"),
                .product(name: "MartletOperations", package: "martlet"),
                .product(name: "MartletPython", package: "martlet"),
                .product(name: "MartletShim", package: "martlet"),
            ],
            // This program is what the ssh cases send: it is linked as a user's program for other machines would be.
            linkerSettings: [
                .unsafeFlags(["-static-executable", "-lswiftSynchronization"], .when(platforms: [.linux]))
            ]
        )
    ],
    swiftLanguageModes: [.v6]
)

for target in package.targets {
    var settings = target.swiftSettings ?? []
    settings.append(.enableUpcomingFeature("ExistentialAny"))
    settings.append(.enableUpcomingFeature("InternalImportsByDefault"))
    settings.append(.enableUpcomingFeature("MemberImportVisibility"))
    target.swiftSettings = settings
}
