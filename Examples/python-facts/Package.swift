// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "python-facts",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "python-facts", targets: ["python-facts"])],
    dependencies: [.package(name: "martlet", path: "../..")],
    targets: [
        .executableTarget(
            name: "python-facts",
            dependencies: [
                .product(name: "Martlet", package: "martlet"),
                .product(name: "MartletFleet", package: "martlet"),
                .product(name: "MartletPython", package: "martlet"),
            ],
            path: "Sources"
        )
    ]
)
