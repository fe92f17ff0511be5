import Foundation
package import Martlet

/// An agent that is linked statically, if the build has made one.
package let staticAgent: String? = {
    let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    let path = folder.appending(path: "martlet-agent").path
    return FileManager.default.isExecutableFile(atPath: path) ? path : nil
}()

extension OutputLog {
    /// Options of a scope whose contexts are static agents: they run commands, not tasks of this program.
    package var staticOptions: MartletOptions {
        var options = options
        options.images = .executables([staticAgent ?? "/no/martlet-agent"])
        return options
    }
}
