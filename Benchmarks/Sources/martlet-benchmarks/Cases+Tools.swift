import Martlet
import MartletShim

extension Cases {
    /// The system's own rsync, which gets files of `count` MiB in all from the context, over a context that is open.
    static func rsync(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let megabytes = options.count(256)
        let context = try await open(martlet, options)
        // The same folder on both sides of a throw-away sshd.
        let made = try await context.run(
            "d=$(mktemp -d) && head -c \(megabytes << 20) /dev/zero | openssl enc -aes-128-ctr -k x -nosalt -pbkdf2 >$d/from && echo $d"
        )
        guard made.succeeded, let folder = made.lines.first else { throw BenchmarkError("no file: \(made.errorText)") }
        let (result, duration) = try await time {
            try await context.runWithSSH(["rsync", "-W", "h:\(folder)/from", "\(folder)/to"])
        }
        let (_, back) = try await time {
            try await context.runWithSSH(["rsync", "-W", "\(folder)/to", "h:\(folder)/back"])
        }
        let same = try await context.run("cmp \(folder)/from \(folder)/back; s=$?; rm -r \(folder); exit $s")
        guard result.succeeded, same.succeeded else {
            throw BenchmarkError("rsync: \(result.errorText)\(same.errorText)")
        }
        return [
            "get": Double(megabytes) * 1.048576 / duration.inSeconds,
            "put": Double(megabytes) * 1.048576 / back.inSeconds,
        ]
    }
}
