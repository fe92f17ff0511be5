/// The command line that the far login shell runs: it starts the cached image at once, or reports a miss and then runs
/// the line that it reads.
///
/// One line of at most 600 bytes that sh, dash, bash, zsh, ksh, mksh, yash, busybox, fish, csh and tcsh all hand to
/// `sh` unchanged: inside the quotes is no `'`, no `!`, no newline and no two backslashes in a row.
package struct FirstStage: Sendable, Hashable {
    package let nonce: BootstrapNonce
    package let policy: ImagePolicy
    /// What the cache calls the image (or the whole set of images, if `namesMachine`).
    package let imageID: String
    /// Whether the image lies in a folder of its own, with its libraries next to it.
    package let usesFolder: Bool
    /// Whether the cache's name ends in `-$(uname -m)`: for a set of images, as a home may be shared between machines
    /// of different kinds. It costs a process on every connect.
    package let namesMachine: Bool
    /// Whether `LD_LIBRARY_PATH` names the image's folder, for executables without a run path of their own.
    package let setsLibraryPath: Bool
    /// Whether the cached image is not to be started, and no short cut to be taken: for the try after one that failed.
    package var isCareful: Bool

    /// - Returns: nil if `imageID` is not 1 to 40 lower-case hexadecimal digits.
    package init?(
        nonce: BootstrapNonce, policy: ImagePolicy, imageID: String, usesFolder: Bool = false,
        namesMachine: Bool = false, setsLibraryPath: Bool = false, isCareful: Bool = false
    ) {
        guard imageID.isImageID else { return nil }
        self.nonce = nonce
        self.policy = policy
        self.imageID = imageID
        self.usesFolder = usesFolder
        self.namesMachine = namesMachine
        self.setsLibraryPath = setsLibraryPath
        self.isCareful = isCareful
    }

    /// The image's name in the cache of a machine that calls itself `machine`.
    func cacheName(machine: String) -> String { namesMachine ? "\(imageID)-\(machine)" : imageID }

    /// The text for the far login shell, without a newline.
    package var commandLine: String { Self.commandLine(script) }

    /// The same for any script that keeps to the rules above.
    package static func commandLine(_ script: String) -> String { "exec sh -c '\(script)'" }

    /// What it has `sh` run.
    package var script: String {
        // The marker is written so that an echo of this text does not contain it. SWIFT_ROOT: a static Swift program
        // aborts without /proc otherwise. MARTLET_REMOVE is cleared, as an agent deletes what it names.
        let environment = "export MARTLET_AGENT=\(nonce.text) MARTLET_REMOVE= SWIFT_ROOT=/;"
        guard policy == .disk, !isCareful else {
            return "\(environment)echo \"MARTLET\"-$MARTLET_AGENT miss $(uname -sm);read -r _s;eval \"$_s\""
        }
        return environment + lookup
    }

    /// Starts a cached image without a single fork. The directories and the file must be ours; that the cache is closed
    /// to others is not looked at, since that takes a process (`ls -ld`) and the second stage sees to it whenever it
    /// writes: whoever could write into the directory still could not make a file there that is owned by us.
    ///
    /// A failed `exec` (a mount that is noexec by now, a loader that is gone) ends a shell, so an exit trap turns it
    /// into a miss; in a new shell, because traps set inside an exit trap do not run. bash forgets the trap but can be
    /// told to go on. ksh93, zsh and yash, which hardly ever are `sh` on Linux, end with status 126 or 127: after
    /// `start` the controller then tries again, carefully. The same helps where a shell takes a file that is damaged for
    /// a script.
    private var lookup: String {
        let machine = namesMachine ? "-$(uname -m)" : ""
        let file = "$_d/\(imageID)\(machine)\(usesFolder ? "/image" : "")"
        let libraryPath =
            setsLibraryPath
            ? "export LD_LIBRARY_PATH=\"${_f%/*}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\"&&" : ""
        return "_r=\"echo MARTLET-$MARTLET_AGENT\";_m=\"$_r miss \\$(uname -sm);read -r _s;eval \\\"\\$_s\\\"\";"
            + "_c=${XDG_CACHE_HOME:-$HOME/.cache};_d=$_c/martlet;_f=\(file);trap \"exec sh -c \\\"\\$_m\\\"\" 0;"
            + "[ \"$BASH\" ]&&shopt -s execfail;"
            + "[ -O \"${XDG_CACHE_HOME:-$HOME}\" ]&&[ -O \"$_c\" ]&&[ -O \"$_d\" ]&&[ -O \"$_f\" ]&&[ -x \"$_f\" ]&&"
            + "\(libraryPath)$_r start&&exec \"$_f\";trap - 0;eval \"$_m\""
    }
}
