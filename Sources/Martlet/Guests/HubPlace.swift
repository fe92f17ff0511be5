import CMartlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Where this user's hub is found: a socket in a directory that nobody else may look into.
package struct HubPlace: Sendable {
    package var directory: String

    package init(directory: String) { self.directory = directory }

    /// Where to look, and in this order to make one.
    package static var usual: [HubPlace] { Detachment.directories.map { HubPlace(directory: $0) } }

    package var socket: String { "\(directory)/hub" }
    /// Who may come in, the directory and the system's word for the peer's user say.
    var detached: DetachedPlace { DetachedPlace(id: String(repeating: "0", count: 32), socket: socket) }

    /// Whoever holds a lock on it is the hub: a record lock, of which the system knows whose it is, and which goes with that
    /// process, whatever its children hold. It goes as well when the process closes any descriptor of the file, so that the
    /// hub itself opens it only once.
    private var lockFile: String { "\(directory)/hub.lock" }

    /// The process that is the hub, whether it can be reached or not; `nil`: there is none. Not to be asked by the hub itself.
    package var holder: Int32? {
        let descriptor = open(lockFile, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { closeDescriptor(descriptor) }
        return Self.holder(of: descriptor)
    }

    private static func holder(of descriptor: Int32) -> Int32? {
        var lock = exclusive
        guard fcntl(descriptor, F_GETLK, &lock) == 0, lock.l_type != Int16(F_UNLCK) else { return nil }
        // 0: it is in a container, into which we do not see.
        return lock.l_pid > 0 ? lock.l_pid : nil
    }

    private static var exclusive: flock {
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        return lock
    }

    /// Makes this process the hub.
    ///
    /// - Returns: what holds the lock until it is closed.
    /// - Throws: ``MartletError`` `refused` if another process is the hub, `noPlace` if the directory is not to be used.
    func take() throws(MartletError) -> Int32 {
        let result = martlet_private_directory(directory)
        guard result == 0 else {
            throw MartletError(
                .noPlace,
                "\(directory): "
                    + (result == -EPERM
                        ? "it is not a directory that is yours alone (mode 0700)" : SystemError.text(-result)))
        }
        let descriptor = open(lockFile, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw MartletError(.noPlace, "\(lockFile): \(SystemError.text(errno))") }
        var lock = Self.exclusive
        let error = fcntl(descriptor, F_SETLK, &lock) == 0 ? 0 : errno
        // Who had it before may have removed it meanwhile.
        if error == 0, isLock(descriptor) { return descriptor }
        defer { closeDescriptor(descriptor) }
        guard [0, EAGAIN, EACCES].contains(error) else {
            throw MartletError(.noPlace, "\(lockFile): \(SystemError.text(error))")
        }
        let process = Self.holder(of: descriptor).map { "process \($0), " } ?? ""
        throw MartletError(
            .refused, "a hub is there already: \(process)with its socket at \(socket)",
            advice: "again; if its socket is gone, 'martlet down' ends it")
    }

    /// Whether the lock's file is still the one that is open here.
    private func isLock(_ descriptor: Int32) -> Bool {
        var (own, named) = (stat(), stat())
        return fstat(descriptor, &own) == 0 && stat(lockFile, &named) == 0 && own.st_ino == named.st_ino
            && own.st_dev == named.st_dev
    }

    /// Removes the lock's file.
    ///
    /// - Returns: whether it was still ours. If somebody has removed what was here, another hub may be in its place.
    func removeLock(_ descriptor: Int32) -> Bool { isLock(descriptor) && unlink(lockFile) == 0 }
}
