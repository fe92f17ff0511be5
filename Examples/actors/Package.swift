// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "actors",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "actors", targets: ["actors"])],
    dependencies: [.package(name: "martlet", path: "../..")],
    targets: [
        .executableTarget(
            name: "actors",
            dependencies: [
                .product(name: "Martlet", package: "martlet"),
                .product(name: "MartletActors", package: "martlet"),
                .product(name: "MartletFleet", package: "martlet"),
            ],
            path: "Sources"
        )
    ]
)
