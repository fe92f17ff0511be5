import Foundation
package import Martlet
package import MartletTestKit

package let hasSSHServer = FileManager.default.isExecutableFile(atPath: "/usr/sbin/sshd")

/// Where contexts over ssh keep the image, so that only the first test that connects sends it.
package let sharedCache: String = {
    let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    let path = executable.deletingLastPathComponent().appending(path: "martlet-test-cache").path
    mkdir(path, 0o700)
    return path
}()

extension ThrowawaySSHD.Configuration {
    /// A server whose cache of images outlives it.
    package static var warm: ThrowawaySSHD.Configuration {
        var configuration = ThrowawaySSHD.Configuration()
        configuration.environment["XDG_CACHE_HOME"] = sharedCache
        return configuration
    }
}

extension ThrowawaySSHD {
    /// The way to this server.
    package func connector(_ variant: Variant? = nil, options: [String] = []) -> SSHConnector {
        .ssh(variant.map { hostAlias($0) } ?? hostAlias, configuration: configPath, options: options)
    }
}

/// Runs `body` with a context behind a real sshd.
package func withSSHContext(
    _ options: MartletOptions = OutputLog().options,
    _ body: @Sendable (Context) async throws -> Void
) async throws {
    try await withThrowawaySSHD(.warm) { sshd in
        try await withMartlet(options) { martlet in
            try await body(try await martlet.connect(sshd.connector(.pipe)))
        }
    }
}
