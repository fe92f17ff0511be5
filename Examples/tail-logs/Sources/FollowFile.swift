import Martlet

/// Follows a file where it is, through rotations, and sends what is written to it from now on, until nobody listens.
struct FollowFile: RemoteTask {
    var path: String
    /// Only lines with this in them: the others do not leave the machine.
    var word: String?
    /// This end of the channel is over there; the other one stays with whoever called.
    var lines: Channel<String>

    func run(in context: RemoteContext) async throws {
        do {
            var file = try GrowingFile(path)
            while lines.isOpen {
                let new = try file.newLines()
                for line in new where isWanted(line) {
                    // Waits while the reader is slow, so that nothing piles up anywhere.
                    try await lines.send(line)
                }
                if new.isEmpty { try await Task.sleep(for: .milliseconds(200)) }
            }
        } catch let error as FileError {
            // Whoever reads the lines is told at once; our result is seen when all hosts have ended.
            lines.close(throwing: error)
            throw error
        }
    }

    private func isWanted(_ line: String) -> Bool { word == nil || line.contains(word!) }
}
